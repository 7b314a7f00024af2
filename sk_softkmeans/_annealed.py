"""Annealed k-means: from soft to hard in one fit, as an RBF network is trained."""

from numbers import Integral, Real

from sk_softkmeans._annealing import Annealer
from sk_softkmeans._assignments import ALPHA, make_assignment
from sk_softkmeans._base import TEMPERATURE, BaseSoftKMeans
from sk_softkmeans._em import hard_inertia
from sk_softkmeans._schedules import Constant, Geometric, Given, critical
from sk_softkmeans._solvers import LOSSES, SOLVERS
from sk_softkmeans._steps import Steps
from sk_softkmeans._validation import Interval, StrOptions

# Where "auto" starts, in units of the mean squared distance to the nearest initial
# center, and "critical", in units of the critical temperature.
_AUTO, _CRITICAL = 0.2, 1.05
# Columns of the path in units of sample_weight.
_WEIGHTED = ("free_energy", "inertia", "entropy")


class AnnealedRBFKMeans(BaseSoftKMeans):
    r"""K-means by annealing: from soft memberships to hard ones in one fit.

    The free energy of `EntmaxKMeans` (`SoftKMeans` at alpha = 1),

    .. math:: F_T(c) = \min_p \sum_i w_i \Big[ \sum_k p_{ik} \|x_i - c_k\|^2
        + T \frac{\sum_k p_{ik}^\alpha - K^{1 - \alpha}}{\alpha (\alpha - 1)} \Big]

    is lowered by some iterations at each of falling temperatures T. As T is lowered it
    falls as well, to the inertia of `KMeans` at T = 0. There the last iterations are
    those of Lloyd's algorithm, until no label changes: the centers are a fixed point of
    k-means, as a rule one as good as the best of ten runs of `KMeans`, or better.
    Between temperatures, centers move from where they do little to where they help,
    which no small step can do.

    As a network, the memberships are a layer of normalised radial basis functions
    around the centers (with ``transform_to="responsibilities"``, for a linear model
    behind it), and the centers can be trained by gradient.

    Parameters
    ----------
    n_clusters : int, default=8
        The number of clusters K.
    alpha : float, default=1.0
        The order of the entropy: 1 for softmax, or in [1.001, 2], as in `EntmaxKMeans`.
    temperature_max : {"auto", "critical"} or float, default="auto"
        Where to start, in squared units of X. "auto" is 0.2 times the mean squared
        distance of the samples to their nearest initial center. "critical" is 1.05
        times the `critical_temperature`, above which all centers fall together: this
        forgets the initial centers, which often ends worse. 0 is k-means from the
        start.
    temperature_min : float, default=0.0
        Where to end. At 0, cooling goes on until memberships are nearly hard, and ends
        with k-means.
    cooling_rate : float, callable or array-like, default=0.7
        The ratio of two successive temperatures, in (0, 1). A callable or a sequence
        gives the temperatures themselves in place of `temperature_max`: for 0, 1, 2,
        ... a callable returns what a sequence has there. They have to fall, are in
        `temperature_unit`, and those above `temperature_min` are used. If that is 0,
        those of a callable end when memberships are nearly hard.
    max_iter_per_temperature : int, default=3
        The largest number of iterations at each temperature but the last.
    solver : {"em", "gradient", "lbfgs"}, default="em"
        What lowers the loss at positive temperatures. "gradient" is gradient descent
        with the step 1 / (2 N_k) for the center of mass N_k, halved while the loss does
        not fall; "lbfgs" is SciPy's L-BFGS. At 0 it is always k-means.
    loss : {"free_energy", "distortion"}, default="free_energy"
        The loss of the gradient solvers. The gradient step on the free energy is EM.
        The "distortion" is the sum of squared distances weighted by memberships that
        depend on the centers; its steps are those of k-means only where all memberships
        are hard. It is not for "em".
    relocate : bool, default=True
        Whether centers move between positive temperatures.
    temperature : {"auto", "ml"} or float, default="auto"
        The temperature of the memberships after the fit; it has no influence on the
        centers. "auto" is `temperature_min` if that is positive. Otherwise it is T =
        3^(alpha - 1) s, for the within-cluster variance per feature s at that very
        temperature, and "ml" is T = 2 s (alpha = 1 only). 0 makes them one-hot.
    temperature_unit : {"absolute", "critical"}, default="absolute"
        The unit of all temperatures that are given as numbers: squared units of X, or
        multiples of the `critical_temperature` of X for this K and alpha.
    init : {"k-means++", "random"}, callable or array-like, default="k-means++"
        How to start. "k-means++" and "random" choose samples. An array of shape
        (n_clusters, n_features) is the initial centers. An array of shape (n_samples,
        n_clusters) with rows on the simplex is the initial memberships. A callable
        gets X, n_clusters and random_state and returns centers.
    n_init : "auto" or int, default="auto"
        The number of runs from different starts, of which the one with the lowest
        inertia is kept. "auto" is 10 for "random" and a callable, else 1.
    max_iter : int, default=300
        The largest number of iterations at the last temperature.
    tol : float, default=1e-4
        Relative tolerance: the iterations at a positive temperature end when the
        squared distance that the centers are estimated to be from their end is at most
        `tol` times the mean variance of the features. Without a positive temperature it
        is that of KMeans; after some, the iterations at 0 end when no label changes.
    transform_to : {"distances", "responsibilities"}, default="distances"
        What `transform` gives.
    verbose : int, default=0
        Whether to print the inertia and free energy of every iteration.
    random_state : int, RandomState instance or None, default=None
        Determines the draws of `init` and of `sample`. Nothing else is random.

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
    path_ : recarray of shape (n_temperatures,)
        What the run was like at the end of each temperature: `temperature`,
        `free_energy` (normalised), `inertia`, `entropy`, `n_iter`, `n_trial_iter` (the
        iterations on moves that were tried, kept or not), `n_relocated` (the centers
        that moved to stay), `n_distinct` (the centers that do not coincide) and
        `centers`, by ``path_.temperature`` or ``path_["temperature"]``.
    n_iter_ : int
        The number of iterations of the run that was kept, at all temperatures, without
        those on moves that were tried (see `path_`).
    converged_ : bool
        Whether the iterations at the last temperature ended before `max_iter`.
    n_features_in_ : int
        The number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features of X, if they are strings.

    See Also
    --------
    SoftKMeans : The same memberships at one temperature.
    EntmaxKMeans : Memberships that can be exactly zero.
    sklearn.cluster.KMeans : The limit at temperature 0.

    Notes
    -----
    A move takes away the center whose samples have others nearly as close, and splits
    the cluster whose two means are worth most. Some of them at once are tried, by a few
    iterations at the same temperature, and kept if the free energy ends lower. Without
    moves, the free energy as the loss never rises along the whole run.

    The gradients of the free energy F and of the distortion D are

    .. math:: \nabla_{c_k} F = 2 \sum_i w_i p_{ik} (c_k - x_i), \quad
        \nabla_{c_k} D = 2 \sum_i w_i \omega_{ik} (c_k - x_i), \quad
        \omega_{ik} = p_{ik} - \frac{s_{ik}}{T} \Big( d_{ik}
        - \frac{\sum_l s_{il} d_{il}}{\sum_l s_{il}} \Big)

    with d the squared distances and :math:`s = p^{2 - \alpha}` where p > 0. A step of
    1 / (2 N_k) down the first one leads to the weighted means, which is EM, and to the
    means of Lloyd's algorithm where p is hard. Down the second one it does so only
    where every :math:`\omega` is p: for alpha > 1 as soon as the two smallest squared
    distances of every sample differ by T / (alpha - 1), for alpha = 1 in the limit T =
    0.

    Centers that coincide would stay together at any temperature. They are set apart
    along the longest axis of their samples where that lowers the free energy.

    Sums are taken in chunks of rows, whose parts are added in float64 and in a fixed
    order: memory beyond X does not grow with n_samples x n_clusters, and the result has
    the same bytes for any number of threads. The threads are those that BLAS is
    allowed. With many clusters of dense X, centers that have provably no share of a
    block of samples, but for rounding, are left out where that is quicker, as it is in
    few dimensions.

    References
    ----------
    "K-Means as a Radial Basis Function Network", :arxiv:`2603.04625`.

    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998, :doi:`10.1109/5.726788`.

    B. Fritzke, "Breathing k-means", :arxiv:`2006.15666`.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_softkmeans import AnnealedRBFKMeans
    >>> X = np.array([[0.0, 0], [0, 2], [0, 4], [10, 0], [10, 2], [10, 4]])
    >>> model = AnnealedRBFKMeans(n_clusters=2, random_state=0).fit(X)
    >>> model.cluster_centers_[np.argsort(model.cluster_centers_[:, 0])]
    array([[ 0.,  2.],
           [10.,  2.]])
    >>> model.inertia_
    16.0

    Two centers in one cluster and one in two others: moves mend it.

    >>> X = np.r_[X, X + [0.0, 40.0]]
    >>> start = X[[0, 2, 3, 6]]
    >>> for relocate in (False, True):
    ...     model = AnnealedRBFKMeans(4, init=start, relocate=relocate).fit(X)
    ...     print(model.inertia_, model.path_.n_relocated.sum())
    176.0 0
    32.0 1
    """

    _parameter_constraints: dict = {
        **BaseSoftKMeans._parameter_constraints,
        **TEMPERATURE,
        "alpha": ALPHA,
        "temperature_max": [
            StrOptions({"auto", "critical"}),
            Interval(Real, 0, None, closed="left"),
        ],
        "temperature_min": [Interval(Real, 0, None, closed="left")],
        "cooling_rate": [
            Interval(Real, 0, 1, closed="neither"),
            "array-like",
            callable,
        ],
        "max_iter_per_temperature": [Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions(set(SOLVERS))],
        "loss": [StrOptions(set(LOSSES))],
        "relocate": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        alpha=1.0,
        temperature_max="auto",
        temperature_min=0.0,
        cooling_rate=0.7,
        max_iter_per_temperature=3,
        solver="em",
        loss="free_energy",
        relocate=True,
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
        self.temperature_max = temperature_max
        self.temperature_min = temperature_min
        self.cooling_rate = cooling_rate
        self.max_iter_per_temperature = max_iter_per_temperature
        self.solver = solver
        self.loss = loss
        self.relocate = relocate

    def _make_assignment(self):
        """Return the map of order alpha."""
        return make_assignment(self.alpha)

    def _schedule(self, chunks, moments, assignment, unit):
        """Return the schedule of the memberships: their temperature after the fit."""
        if self.temperature == "auto" and self.temperature_min > 0:
            last = self._absolute("temperature_min", chunks, moments, assignment)
            return Constant(last)
        return super()._schedule(chunks, moments, assignment, unit)

    def _search(self, chunks, moments, schedule, assignment):
        """Return what finds centers: an annealer along the schedule of the search."""
        loss = LOSSES[self.loss]
        if self.solver == "em" and not loss.is_majorised:
            raise ValueError(
                f"loss must be 'free_energy' when solver='em', got {self.loss!r}."
            )
        cool = self._cooling(chunks, moments, assignment)
        steps = Steps(chunks.X.shape[0], assignment, soft=loss.step)
        solver = SOLVERS[self.solver](loss)

        def search(centers, monitor):
            anneal = Annealer(
                chunks,
                moments,
                steps,
                solver,
                relocate=self.relocate,
                n_each=self.max_iter_per_temperature,
                n_last=self.max_iter,
                tol=self.tol,
                monitor=monitor,
            )
            return anneal(centers, cool(centers))

        return search

    def _cooling(self, chunks, moments, assignment):
        """Return the temperatures of the search, as a function of initial centers."""
        last = self._absolute("temperature_min", chunks, moments, assignment)
        if not isinstance(self.cooling_rate, Real):
            unit = self._unit(chunks, moments, assignment)
            return lambda centers: Given(self.cooling_rate, unit, last)
        first = self._hottest(chunks, moments, assignment, last)

        def cool(centers):
            spread = moments.scatter / moments.weight
            largest = 4 * max(moments.peak, float((centers**2).sum(axis=1).max()))
            return Geometric(first(centers), self.cooling_rate, last, spread, largest)

        return cool

    def _hottest(self, chunks, moments, assignment, last):
        """Return the first temperature, as a function of initial centers."""
        if self.temperature_max == "auto":

            def by_inertia(centers):
                inertia = hard_inertia(chunks, moments, centers)
                return _AUTO * inertia / moments.weight

            return by_inertia
        if self.temperature_max == "critical":
            order = self.n_clusters, assignment.alpha
            first = _CRITICAL * critical(chunks, moments, *order)
            return lambda centers: first
        first = self._absolute("temperature_max", chunks, moments, assignment)
        if first < last:
            raise ValueError(
                f"temperature_max must be at least temperature_min="
                f"{self.temperature_min}, got {self.temperature_max}."
            )
        return lambda centers: first

    def _model(self, describe, schedule, centers, temperature, unit):
        """Return the fitted attributes at the temperature of the memberships."""
        temperature = schedule.first(lambda: describe(centers, 0.0)["inertia_"] / unit)
        model = describe(centers, temperature)
        for _ in range(self.max_iter if schedule.learned else 0):
            before = temperature
            inertia = model["soft_inertia_"] / unit
            temperature = schedule.following(temperature, inertia)
            model = describe(centers, temperature)
            if abs(temperature - before) <= self.tol * temperature:
                break
        return model

    def _conclude(self, model, result, schedule, unit):
        """Return all fitted attributes, and the inertia: the best run has the least."""
        path = result.path
        for column in _WEIGHTED:
            path[column] *= unit
        return model | {"path_": path}, model["inertia_"]

    @property
    def _max_iterations(self):
        """Return None: it depends on the moves that are tried."""
        return None
