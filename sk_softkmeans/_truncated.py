"""Truncated k-means: only the nearest centers share a sample."""

from copy import copy
from numbers import Integral

import numpy as np

from sk_softkmeans._assignments import ALPHA, Truncated, make_assignment
from sk_softkmeans._base import TEMPERATURE, BaseSoftKMeans
from sk_softkmeans._truncation import TruncatedSearch
from sk_softkmeans._validation import Interval, StrOptions


class TruncatedKMeans(BaseSoftKMeans):
    r"""Soft k-means in which only the nearest centers share a sample.

    Minimises the free energy of `SoftKMeans` over centers c and over responsibilities p
    that are zero for all but C = `n_active` clusters of each sample,

    .. math:: \sum_i w_i \min_{|S| = C} \Big[ \sum_{k \in S} p_{ik} \|x_i - c_k\|^2
        + T \sum_{k \in S} p_{ik} \log (K p_{ik}) \Big]
        = -T \sum_i w_i \log \frac{1}{K} \sum_{k \in S_i} \exp(-\|x_i - c_k\|^2 / T)

    with :math:`S_i` the C clusters nearest to :math:`x_i`: truncated variational EM for
    an isotropic Gaussian mixture with variance T / 2 (k-means-C). One active cluster
    gives the centers of k-means at any temperature, all of them `SoftKMeans`, exactly.
    As a rule three are as good as all.

    It is made for many clusters. Active clusters are looked for among the neighbours of
    the center that was nearest so far, so that the cost of an iteration grows far more
    slowly than the number of clusters. What is said of samples in the end does not
    depend on that: labels, memberships and inertia are those of all centers.

    Parameters
    ----------
    n_clusters : int, default=8
        The number of clusters K.
    n_active : int, default=3
        How many clusters share a sample at most; all if there are not so many.
    n_neighbors : "auto" or int, default="auto"
        How many neighbours of a center, itself among them, are candidates for the
        samples that are nearest to it. "auto" begins with 16, or twice `n_active`, and
        doubles that each time the centers have settled, as long as the first iteration
        with longer lists lowers the free energy by more than 0.5 %; with one active
        cluster all centers are candidates, for exactly k-means. A number, which has to
        be at least `n_active` and should be several times that, stays what it is.
        Whatever is given, all centers are candidates where that costs no more, which is
        with few clusters, at temperature 0 and for sparse X.
    alpha : float, default=1.0
        The order of the entropy: 1 for softmax, or in [1.001, 2], as in `EntmaxKMeans`.
    learn_weights : bool, default=False
        Whether clusters have shares (mixing weights) that are learned: active are then
        the clusters with the largest posterior, `labels_` and `predict` give the
        largest one (at temperature 0 the nearest center), `score` is that of the
        mixture with these weights, and `inertia_` is that of the nearest centers as
        ever. A cluster can lose its share for good. Meant for ``temperature="ml"``;
        `alpha` has to be 1.
    sparse_output : bool, default=False
        Whether `predict_proba` returns a CSR matrix.
    temperature : {"auto", "ml"} or float, default="auto"
        The temperature T >= 0, in squared units of X; 0 is hard k-means. A learned
        temperature is re-estimated after every M-step from the within-cluster variance
        per feature s: "auto" is T = 3^(alpha - 1) s; "ml" is T = 2 s, the
        maximum-likelihood mixture, for alpha = 1 only.
    temperature_unit : {"absolute", "critical"}, default="absolute"
        The unit of a float `temperature`: squared units of X, or multiples of the
        `critical_temperature` of X, at which all centers would collapse if all were
        active.
    init : {"k-means++", "random"}, callable or array-like, default="k-means++"
        How to start. "k-means++" and "random" choose samples; from 1000 clusters on
        "k-means++" looks at 8 samples for each. An array of shape (n_clusters,
        n_features) is the initial centers. An array of shape (n_samples, n_clusters)
        with rows on the simplex is the initial memberships. A callable gets X,
        n_clusters and random_state and returns centers.
    n_init : "auto" or int, default="auto"
        The number of runs from different starts, of which the one with the lowest free
        energy is kept (the lowest F' / T + (W d / g) log T where T = g s is learned).
        "auto" is 10 for "random" and a callable, else 1.
    max_iter : int, default=300
        The largest number of iterations of a run.
    tol : float, default=1e-4
        Relative tolerance: a run ends when the squared distance that centers are
        estimated to be from their end, the mean over their samples, is at most `tol`
        times the mean squared distance of samples to their active centers, and the
        relative change of a learned temperature is at most `tol`. With one active
        cluster and at temperature 0 the squared shift of the centers is compared to
        `tol` times the mean variance of the features, as in KMeans; with all active as
        in `SoftKMeans`.
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
        The index of the nearest center of each sample (of the largest posterior with
        `learn_weights`); equal to ``predict(X)``.
    inertia_ : float
        The weighted sum of squared distances to the nearest centers, as in KMeans.
    soft_inertia_ : float
        The weighted sum of squared distances to active centers, by responsibilities.
    temperature_ : float
        The temperature of the memberships, in squared units of X.
    variance_ : float
        The within-cluster variance per feature, `soft_inertia_` / (W d).
    free_energy_ : float
        The normalised free energy, at least `inertia_` and equal to it at T = 0.
    lower_bound_ : float
        The lower bound, per sample, of the log-likelihood of the mixture with variance
        v = `variance_` by the memberships p of the model and the shares pi, which are 1
        / K if they are not learned: :math:`-KL(p, \pi) - \frac d2 \log(2 \pi e v)`.
        With "ml" no iteration lowers it, if all centers are candidates and not all are
        active. With one active cluster and inertia J it is :math:`-\log K - \frac d2
        \log(2 \pi e J / (d W))`. At other temperatures it is no more than a bound.
    weights_ : ndarray of shape (n_clusters,)
        The shares of the clusters, which sum to 1; only with `learn_weights`.
    free_energies_ : ndarray of shape (`n_iter_`,)
        The normalised free energy of the centers entering each iteration, among their
        candidates.
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
    SoftKMeans : All clusters share all samples.
    EntmaxKMeans : As many clusters share a sample as are near enough.
    sklearn.cluster.KMeans : The case of one active cluster.

    Notes
    -----
    Samples are sorted by their nearest centers and cut into blocks of one size, each of
    which meets one list of candidates: an iteration costs n_samples x n_neighbors, and
    memory beyond X and a few chunks is n_samples + n_clusters x n_neighbors. In every
    iteration lists are made anew, all of them up to 1024 clusters, above those of the
    centers that have moved most, from about a million distances. The first and the last
    E-step, which find the nearest of all centers, cost what iterations of KMeans do.
    A weight of 2 is the sample twice where all centers are candidates; with lists it is
    as long as these are the same for both.

    The sum over chunks is taken in float64 and in a fixed order: the result has the
    same bytes for any number of threads, which are those that BLAS is allowed.

    References
    ----------
    J. Luecke and D. Forster, "k-means as a variational EM approximation of Gaussian
    mixture models", Pattern Recognition Letters, 2019, :arxiv:`1704.04812`.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_softkmeans import TruncatedKMeans
    >>> X = np.array([[0.0], [1], [2], [5], [6], [7], [20], [21], [22]])
    >>> model = TruncatedKMeans(3, n_active=2, temperature=8.0, random_state=0).fit(X)
    >>> order = np.argsort(model.cluster_centers_.ravel())
    >>> model.cluster_centers_[order].ravel().round(2)
    array([ 1.31,  5.69, 21.  ])
    >>> model.predict_proba([[3.0], [5.0], [9.0]])[:, order].round(2)
    array([[0.63, 0.37, 0.  ],
           [0.16, 0.84, 0.  ],
           [0.  , 1.  , 0.  ]])
    """

    _parameter_constraints: dict = {
        **BaseSoftKMeans._parameter_constraints,
        **TEMPERATURE,
        "n_active": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "alpha": ALPHA,
        "learn_weights": ["boolean"],
        "sparse_output": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_active=3,
        n_neighbors="auto",
        alpha=1.0,
        learn_weights=False,
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
        self.n_active = n_active
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.learn_weights = learn_weights
        self.sparse_output = sparse_output

    _also = ("divergence",)

    def _make_assignment(self):
        """Return the map: all of it if all clusters are active."""
        full, n_active = (
            make_assignment(self.alpha),
            min(self.n_active, self.n_clusters),
        )
        if self.n_neighbors != "auto" and self.n_neighbors < n_active:
            raise ValueError(
                f"n_neighbors must be 'auto' or at least n_active={n_active}, got "
                f"{self.n_neighbors}."
            )
        if not self.learn_weights:
            if n_active == self.n_clusters:
                return full
            return Truncated(full, n_active)
        if self.alpha != 1:
            raise ValueError(
                f"learn_weights must be False when alpha > 1 (only softmax memberships "
                f"are those of a mixture), got True with alpha={self.alpha}."
            )
        return Truncated(full, n_active, np.zeros(self.n_clusters))

    def _schedule(self, chunks, moments, assignment, unit):
        """Return the schedule; a ValueError if free energies would not be finite.

        That of few active clusters rises with the temperature without end.
        """
        schedule = super()._schedule(chunks, moments, assignment, unit)
        if isinstance(assignment, Truncated) and not schedule.learned:
            value = max(float(assignment.largest_value(self.n_clusters)), 1.0)
            limit = float(np.finfo(float).max) / value / moments.weight / unit
            if schedule.temperature > limit:
                raise ValueError(
                    f"temperature must be at most {limit:.3g} for free energies to be "
                    f"finite, got {schedule.temperature:.3g}."
                )
        return schedule

    def _search(self, chunks, moments, schedule, assignment):
        """Return what finds centers: that of soft k-means if all are active."""
        if not isinstance(assignment, Truncated):
            return super()._search(chunks, moments, schedule, assignment)
        return TruncatedSearch(
            chunks,
            moments,
            schedule,
            assignment,
            n_clusters=self.n_clusters,
            n_neighbors=self.n_neighbors,
            max_iter=self.max_iter,
            tol=self.tol,
        )

    def _model(self, describe, schedule, centers, temperature, unit):
        """Return the fitted attributes, among them the lower bound."""
        model = describe(centers, temperature)
        if self.learn_weights:
            # The next run learns others.
            model["_assignment"] = copy(model["_assignment"])
            model["weights_"] = model["_assignment"].shares
        variance, n_features = model["variance_"], centers.shape[1]
        # With sum w p d = W d times the variance, which has a floor.
        bound = -model.pop("divergence") - n_features / 2
        bound -= n_features / 2 * np.log(2 * np.pi * variance)
        return model | {"lower_bound_": float(bound)}

    def _mixture(self):
        """Return the map whose free energy is that of the fitted mixture."""
        shares = getattr(self._assignment, "log_shares", None)
        if shares is None:
            return super()._mixture()
        return Truncated(super()._mixture(), len(shares), shares)

    @property
    def _n_parameters(self):
        """Return the number of parameters of the fitted mixture."""
        own = len(self.weights_) - 1 if hasattr(self, "weights_") else 0
        return super()._n_parameters + own
