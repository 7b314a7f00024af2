"""The public function `entmax`."""

from numbers import Integral

import numpy as np

from sk_softkmeans._assignments import ALPHA, make_assignment
from sk_softkmeans._chunks import for_each_chunk
from sk_softkmeans._validation import check_logits, validated


@validated({"logits": ["array-like"], "alpha": ALPHA, "axis": [Integral]})
def entmax(logits, alpha=1.5, axis=-1):
    r"""Return the alpha-entmax of logits: probabilities with exact zeros.

    .. math:: p = \mathrm{argmax}_{p \in \triangle} \; \langle p, z \rangle
        - \frac{\sum_k p_k^\alpha - 1}{\alpha (\alpha - 1)}
        = [(\alpha - 1) z - \tau]_+^{1 / (\alpha - 1)}

    with the threshold :math:`\tau` at which they sum to 1. `alpha` = 1 is softmax, its
    limit, 2 is sparsemax. Above 1 a probability is 0 where its logit is
    1 / (alpha - 1) or more below the largest. The threshold is found by Newton's method
    on a norm, without sorting.

    Parameters
    ----------
    logits : array-like
        The logits z. Any shape of at least one dimension; float32 is kept, everything
        else becomes float64. -inf is allowed.
    alpha : float, default=1.5
        The order of the entropy: 1, or in [1.001, 2].
    axis : int, default=-1
        The axis along which probabilities sum to 1.

    Returns
    -------
    probabilities : ndarray of the shape of logits
        The probabilities, those of -inf exactly 0.

    Raises
    ------
    ValueError
        If `alpha` is out of range, `logits` has no such axis or an empty one, or the
        largest logit along the axis is not finite somewhere.
    TypeError
        If `logits` is sparse.

    See Also
    --------
    EntmaxKMeans : Clusters with these memberships.
    scipy.special.softmax : The case alpha = 1.

    References
    ----------
    B. Peters, V. Niculae and A. F. T. Martins, "Sparse sequence-to-sequence models",
    ACL 2019, :arxiv:`1905.05702`.

    M. Blondel, A. F. T. Martins and V. Niculae, "Learning classifiers with
    Fenchel-Young losses: generalized entropies, margins, and algorithms", AISTATS
    2019, :arxiv:`1805.09717`.

    Examples
    --------
    >>> from sk_softkmeans import entmax
    >>> entmax([2.0, 1.0, -1.0]).round(3)
    array([0.831, 0.169, 0.   ])
    >>> entmax([2.0, 1.0, -1.0], alpha=2)
    array([1., 0., 0.])
    """
    logits = check_logits(logits)
    if not -logits.ndim <= axis < logits.ndim:
        raise ValueError(
            f"axis must be an axis of logits, which have the shape {logits.shape}, got "
            f"{axis}."
        )
    moved = np.moveaxis(logits, axis, -1)
    if not moved.shape[-1]:
        raise ValueError(
            f"logits must hold at least one number along axis {axis}, got the shape "
            f"{logits.shape}."
        )
    z = moved.reshape(-1, moved.shape[-1])
    out = np.empty(z.shape, z.dtype)
    assignment = make_assignment(alpha)

    def _work(rows):
        # argmax is faster than max, and stops at NaN as well.
        own = z[rows]
        top = own[np.arange(len(own)), own.argmax(axis=1)]
        if not np.isfinite(top).all():
            worst = top[~np.isfinite(top)][0]
            raise ValueError(
                f"logits must have a finite maximum along axis {axis}, got {worst}."
            )
        p = out[rows]
        own = own - top[:, np.newaxis]
        assignment.respond(own.T, p.T)
        # NumPy adds along rows pairwise: many float32 numbers sum to 1 exactly enough.
        p /= p.sum(axis=1, keepdims=True)

    if len(z):
        for_each_chunk(z, _work)
    return np.moveaxis(out.reshape(moved.shape), -1, axis)
