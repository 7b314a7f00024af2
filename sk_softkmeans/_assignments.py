"""Assignment maps: from shifted logits to responsibilities.

For one sample with logits ``z_k = (d_min - d_k) / T <= 0``, a map is the maximiser of
``<p, z> - Omega(p)`` over the simplex, ``Omega`` a negentropy that is 0 at the vertices
and least at the uniform point ``u``. All maps work on an array of shape
(n_clusters, n_rows), in any memory order, along its first axis. They see neither
samples nor centers nor weights.
"""

from functools import cache

import numpy as np
from numpy.lib.introspect import opt_func_info


class Hard:
    """The limit of every map at T = 0: all to the largest logit, the first on ties."""

    def respond(self, z, out):
        """Write one-hot responsibilities to `out`; return ``total`` and ``value``."""
        out[...] = 0
        out[z.argmax(axis=0), np.arange(z.shape[1])] = 1
        return np.ones(z.shape[1], z.dtype), np.zeros(z.shape[1], z.dtype)

    def log(self, z, total):
        """Return the logarithm of the responsibilities: 0 and -inf."""
        out = np.full_like(z, -np.inf)
        out[z.argmax(axis=0), np.arange(z.shape[1])] = 0
        return out


class Softmax:
    """The Shannon map, ``Omega(p) = sum p log p``: ``p = exp(z) / sum exp(z)``."""

    alpha = 1.0

    def uniform(self, n_clusters):
        """Return Omega(u), the least value of the negentropy."""
        return -np.log(n_clusters)

    def respond(self, z, out):
        """Write the responsibilities times ``total`` to `out`, which may be `z`.

        Parameters
        ----------
        z : ndarray of shape (n_clusters, n_rows)
            The shifted logits.
        out : ndarray of shape (n_clusters, n_rows)
            Where to write.

        Returns
        -------
        total : ndarray of shape (n_rows,)
            What each column of `out` has to be divided by: users divide the samples'
            weights instead, which is n_clusters times less work.
        value : ndarray of shape (n_rows,)
            ``-Omega(u) - max_p (<p, z> - Omega(p))``, in [0, -Omega(u)]: the
            normalised free energy is ``d_min + T value``.
        """
        # Where every p is nearly 1 / n_clusters, value is the small difference of two
        # numbers of size log(n_clusters), to be multiplied by a large T: no difference.
        if z[:, 0].min() > -1 and z.min() > -1:
            np.expm1(z, out=out)
            excess = out.mean(axis=0)
            out += 1
            return out.sum(axis=0), np.maximum(-np.log1p(excess), 0)
        _exp(z, out)
        total = np.ones(len(out), out.dtype) @ out
        return total, np.log(np.maximum(len(out) / total, 1))

    def log(self, z, total):
        """Return the logarithm of the responsibilities, finite where they underflow."""
        return z - np.log(total)


def _exp(z, out):
    """Write exp(z) to `out`, which may be `z`."""
    if z.dtype == np.float32 and _exp2_is_vectorised():
        np.multiply(z, np.float32(np.log2(np.e)), out=out)
        np.exp2(out, out=out)
    else:
        np.exp(z, out=out)


@cache
def _exp2_is_vectorised():
    """Return whether float32 exp2 has a vector version here: twice as fast as exp.

    Without one it is half as fast, as on x86 processors without AVX-512.
    """
    versions = opt_func_info(func_name="^exp2$", signature="float32").get("exp2", {})
    found = [version["current"] for version in versions.values()]
    return bool(found) and not any("baseline" in current for current in found)
