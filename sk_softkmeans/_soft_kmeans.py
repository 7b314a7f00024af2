"""Soft k-means: softmax responsibilities at a temperature."""

from sk_softkmeans._base import TEMPERATURE, BaseSoftKMeans


class SoftKMeans(BaseSoftKMeans):
    r"""Soft k-means: clusters with softmax memberships at a temperature.

    Minimises the free energy, over centers c and responsibilities p on the simplex,

    .. math:: \sum_i w_i \Big[ \sum_k p_{ik} \|x_i - c_k\|^2
        + T \sum_k p_{ik} \log (K p_{ik}) \Big]
        = -T \sum_i w_i \log \frac{1}{K} \sum_k \exp(-\|x_i - c_k\|^2 / T)

    by alternating ``p = softmax(-d^2 / T)`` and weighted means: k-means with entropy
    regularisation, which is the same as its log-sum-exp approximation, and EM for an
    isotropic Gaussian mixture with equal shares and variance T / 2. At temperature 0
    it is exactly `KMeans` (Lloyd's algorithm).

    Parameters
    ----------
    n_clusters : int, default=8
        The number of clusters K.
    temperature : {"auto", "ml"} or float, default="auto"
        The temperature T >= 0, in squared units of X: memberships are soft where the
        squared distances to two centers differ by less than a few T. 0 is hard
        k-means. A learned temperature is re-estimated after every M-step from the
        within-cluster variance per feature s: "auto" is T = s, as a rule as good as
        KMeans, with soft borders (not where a few far samples make most of s); "ml" is
        T = 2 s, the maximum-likelihood mixture.
    temperature_unit : {"absolute", "critical"}, default="absolute"
        The unit of a float `temperature`: squared units of X, or multiples of the
        `critical_temperature` of X, a scale-free dial for grids from 0 to 1.
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
    sklearn.cluster.KMeans : The limit at temperature 0.
    sklearn.mixture.GaussianMixture : Learns shares and covariances as well.
    critical_temperature : The temperature above which all centers collapse.

    Notes
    -----
    Where iterations of expectation-maximisation get slow, as near a critical
    temperature, centers go beyond the weighted means, along the course of the last ones
    (Anderson acceleration). Where the objective would not fall, they go back to the
    means; such an iteration takes two E-steps.

    Sums are taken in chunks of rows, whose parts are added in float64 and in a fixed
    order: memory beyond X does not grow with n_samples x n_clusters, and the result has
    the same bytes for any number of threads. The threads are those that BLAS is
    allowed. With many clusters of dense X, centers that have provably no share of a
    block of samples, but for rounding, are left out where that is quicker, as it is in
    few dimensions.

    References
    ----------
    K. Inoue and K. Hara, "An equivalence between log-sum-exp approximation and entropy
    regularization in K-means clustering", NOLTA 11(4), 2020.

    J. Luecke and D. Forster, "k-means as a variational EM approximation of Gaussian
    mixture models", :arxiv:`1704.04812`.

    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998, :doi:`10.1109/5.726788`.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_softkmeans import SoftKMeans
    >>> X = np.array([[0.0, 0], [0, 2], [0, 4], [10, 0], [10, 2], [10, 4]])
    >>> model = SoftKMeans(n_clusters=2, temperature=4.0, random_state=0).fit(X)
    >>> model.cluster_centers_[np.argsort(model.cluster_centers_[:, 0])].round(2)
    array([[ 0.,  2.],
           [10.,  2.]])
    >>> np.sort(model.predict_proba([[5.0, 2.0], [4.5, 2.0]])).round(2)
    array([[0.5 , 0.5 ],
           [0.08, 0.92]])
    >>> SoftKMeans(n_clusters=2, temperature=0, random_state=0).fit(X).inertia_
    16.0
    """

    _parameter_constraints: dict = {
        **BaseSoftKMeans._parameter_constraints,
        **TEMPERATURE,
    }

    def __init__(
        self,
        n_clusters=8,
        *,
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
