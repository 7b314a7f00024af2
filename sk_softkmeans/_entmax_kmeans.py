"""Entmax k-means: sparse memberships, exactly hard at a finite temperature."""

from sk_softkmeans._assignments import ALPHA, make_assignment
from sk_softkmeans._base import TEMPERATURE, BaseSoftKMeans


class EntmaxKMeans(BaseSoftKMeans):
    r"""Soft k-means with memberships that can be exactly zero.

    Minimises the free energy, over centers c and responsibilities p on the simplex,

    .. math:: \sum_i w_i \Big[ \sum_k p_{ik} \|x_i - c_k\|^2
        + T \frac{\sum_k p_{ik}^\alpha - K^{1 - \alpha}}{\alpha (\alpha - 1)} \Big]

    by alternating ``p = entmax(-d^2 / T)`` and weighted means: k-means with Tsallis
    entropy of order alpha (at alpha = 1, its limit, Shannon's). Only centers whose
    squared distance exceeds the smallest one by less than T / (alpha - 1) share a
    sample. A sample whose two nearest squared distances differ by more belongs to one
    cluster alone, and where that holds for all samples, at a temperature above 0, this
    is exactly `KMeans` (Lloyd's algorithm).

    Parameters
    ----------
    n_clusters : int, default=8
        The number of clusters K.
    alpha : float, default=1.5
        The order of the entropy: 1 for softmax (`SoftKMeans`), or in [1.001, 2], 2 for
        sparsemax. The larger, the fewer clusters share a sample. Near 1, memberships
        between 0 and the smallest number of the dtype are 0 as well.
    sparse_output : bool, default=False
        Whether `predict_proba`, and `transform` to responsibilities, give CSR matrices
        (CSR arrays where scikit-learn's configuration asks for those), made without a
        dense array of that size. Data frames cannot hold them (`set_output`), and
        `predict_log_proba` is always dense.
    temperature : "auto" or float, default="auto"
        The temperature T >= 0, in squared units of X: memberships are shared where the
        squared distances to two centers differ by less than T / (alpha - 1). 0 is hard
        k-means. "auto" re-estimates it after every M-step from the within-cluster
        variance per feature s as 3^(alpha - 1) s, about as soft as in `SoftKMeans`.
        "ml" is for alpha = 1 only.
    temperature_unit : {"absolute", "critical"}, default="absolute"
        The unit of a float `temperature`: squared units of X, or multiples of the
        `critical_temperature` of X for this K and alpha, a scale-free dial for grids
        from 0 to 1 that is the same for every alpha.
    init : {"k-means++", "random"}, callable or array-like, default="k-means++"
        How to start. "k-means++" and "random" choose samples. An array of shape
        (n_clusters, n_features) is the initial centers. An array of shape (n_samples,
        n_clusters) with rows on the simplex is the initial memberships. A callable
        gets X, n_clusters and random_state and returns centers.
    n_init : "auto" or int, default="auto"
        The number of runs from different starts, of which the one with the lowest free
        energy is kept (the lowest F' / T + (W d / g) log T where T = g s is learned).
        "auto" is 10 for "random" and a callable, else 1.
    max_iter : int, default=300
        The largest number of iterations of a run.
    tol : float, default=1e-4
        Relative tolerance: a run ends when the squared distance that the centers are
        estimated to be from their end is at most `tol` times the mean variance of the
        features, and the relative change of a learned temperature is at most `tol`. At
        temperature 0 the squared shift of the centers is compared, as in KMeans.
    transform_to : {"distances", "responsibilities"}, default="distances"
        What `transform` gives.
    verbose : int, default=0
        Whether to print the inertia and free energy of every iteration.
    random_state : int, RandomState instance or None, default=None
        Determines the draws of `init` and of `sample`.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The centers.
    labels_ : ndarray of shape (n_samples,)
        The index of the nearest center of each sample; equal to ``predict(X)``.
    inertia_ : float
        The weighted sum of squared distances to the nearest centers, as in KMeans.
    soft_inertia_ : float
        The weighted sum of squared distances to all centers, by responsibilities.
    temperature_ : float
        The temperature of the memberships, in squared units of X.
    variance_ : float
        The within-cluster variance per feature, `soft_inertia_` / (W d).
    free_energy_ : float
        The normalised free energy, at least `inertia_` and equal to it at T = 0.
    free_energies_ : ndarray of shape (`n_iter_`,)
        The normalised free energy of the centers entering each iteration.
    temperatures_ : ndarray of shape (`n_iter_`,)
        The temperature of each iteration.
    n_iter_ : int
        The number of iterations of the run that was kept.
    converged_ : bool
        Whether that run met `tol` within `max_iter` iterations.
    n_features_in_ : int
        The number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features of X, if they are strings.

    See Also
    --------
    SoftKMeans : Softmax memberships, which are nowhere exactly zero.
    sklearn.cluster.KMeans : The limit, reached at a positive temperature.
    critical_temperature : The temperature above which all centers collapse.
    entmax : The map from distances to memberships.

    Notes
    -----
    A center can lose all its samples, as in k-means, and is then moved to the sample
    that is farthest from all centers.

    Where iterations of expectation-maximisation get slow, as near a critical
    temperature, centers go beyond the weighted means, along the course of the last ones
    (Anderson acceleration). Where the objective would not fall, they go back to the
    means; such an iteration takes two E-steps.

    Sums are taken in chunks of rows, whose parts are added in float64 and in a fixed
    order: memory beyond X does not grow with n_samples x n_clusters, and the result has
    the same bytes for any number of threads. The threads are those that BLAS is
    allowed. Where few of many centers share a sample, the others cost `fit` no more
    than their distances, and these only where it is not proved that they share no
    sample of a block.

    References
    ----------
    "K-Means as a Radial Basis Function Network", :arxiv:`2603.04625`.

    B. Peters, V. Niculae and A. F. T. Martins, "Sparse sequence-to-sequence models",
    ACL 2019, :arxiv:`1905.05702`.

    M. Blondel, A. F. T. Martins and V. Niculae, "Learning classifiers with
    Fenchel-Young losses: generalized entropies, margins, and algorithms", AISTATS
    2019, :arxiv:`1805.09717`.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_softkmeans import EntmaxKMeans
    >>> X = np.array([[0.0, 0], [0, 2], [0, 4], [10, 0], [10, 2], [10, 4]])
    >>> model = EntmaxKMeans(n_clusters=2, temperature=4.0, random_state=0).fit(X)
    >>> model.cluster_centers_[np.argsort(model.cluster_centers_[:, 0])]
    array([[ 0.,  2.],
           [10.,  2.]])

    Squared distances that differ by 2 T = 8 or more are told apart without doubt:

    >>> np.sort(model.predict_proba([[5.0, 2.0], [4.8, 2.0], [4.5, 2.0]])).round(2)
    array([[0.5 , 0.5 ],
           [0.17, 0.83],
           [0.  , 1.  ]])
    """

    _parameter_constraints: dict = {
        **BaseSoftKMeans._parameter_constraints,
        **TEMPERATURE,
        "alpha": ALPHA,
        "sparse_output": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        alpha=1.5,
        sparse_output=False,
        temperature="auto",
        temperature_unit="absolute",
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        transform_to="distances",
        verbose=0,
        random_state=None,
    ):
        super().__init__(
            n_clusters,
            init=init,
            n_init=n_init,
            max_iter=max_iter,
            tol=tol,
            transform_to=transform_to,
            verbose=verbose,
            random_state=random_state,
        )
        self.temperature = temperature
        self.temperature_unit = temperature_unit
        self.alpha = alpha
        self.sparse_output = sparse_output

    def _make_assignment(self):
        """Return the map of order alpha."""
        return make_assignment(self.alpha)
