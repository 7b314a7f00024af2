"""Maximum entropy: the softest memberships at a given distortion."""

from numbers import Real

import numpy as np

from sk_softkmeans._assignments import ALPHA, make_assignment
from sk_softkmeans._base import BaseSoftKMeans
from sk_softkmeans._schedules import Solved
from sk_softkmeans._validation import Interval, StrOptions


class MaxEntropyKMeans(BaseSoftKMeans):
    r"""Maximum-entropy k-means: the softest memberships at a given distortion.

    Maximises the entropy of the memberships p over centers c and p on the simplex,

    .. math:: H(p) = -\sum_i w_i \sum_k p_{ik} \log p_{ik} \quad \text{subject to}
        \quad \sum_i w_i \sum_k p_{ik} \|x_i - c_k\|^2 = J_0

    by alternating ``p = softmax(-d^2 / T)``, at the temperature T that gives the
    distortion J0, and weighted means. The result is that of `SoftKMeans` at the same
    temperature, which need not be known: what is given is how much of the variance may
    be left unexplained.

    Parameters
    ----------
    n_clusters : int, default=8
        The number of clusters K.
    distortion : float, default=0.2
        The distortion J0 > 0. Memberships are softer where it is higher. It has to be
        below the total scatter, where all centers are at the mean.
    distortion_unit : {"scatter", "absolute"}, default="scatter"
        The unit of `distortion`: the total scatter, the weighted sum of squared
        distances to the mean, so that 0.2 leaves a fifth of the variance unexplained;
        or squared units of X times those of `sample_weight`.
    alpha : float, default=1.0
        The order of the entropy: 1 for softmax, or in [1.001, 2], as in `EntmaxKMeans`.
        Above 1 the entropy is that of Tsallis, :math:`(1 - \sum_k p_{ik}^\alpha) /
        (\alpha (\alpha - 1))`.
    init : {"k-means++", "random"}, callable or array-like, default="k-means++"
        How to start. "k-means++" and "random" choose samples. An array of shape
        (n_clusters, n_features) is the initial centers. An array of shape (n_samples,
        n_clusters) with rows on the simplex is the initial memberships. A callable
        gets X, n_clusters and random_state and returns centers.
    n_init : "auto" or int, default="auto"
        The number of runs from different starts, of which the one with the highest
        entropy is kept, of those without the one with the lowest inertia. "auto" is 10
        for "random" and a callable, else 1.
    max_iter : int, default=300
        The largest number of iterations of a run.
    tol : float, default=1e-4
        Relative tolerance: a run ends when the squared distance that the centers are
        estimated to be from their end is at most `tol` times the mean variance of the
        features, and the relative change of the temperature is at most `tol`.
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
        The weighted sum of squared distances to all centers, by responsibilities: J0
        where it can be reached.
    temperature_ : float
        The temperature that was solved for, in squared units of X; 0, with hard
        memberships, where J0 is too low.
    entropy_ : float
        The entropy H of the memberships, in natural units (nats), summed over the
        samples.
    entropies_ : ndarray of shape (`n_iter_`,)
        The entropy for the centers entering each iteration. From the first iteration
        whose inertia is below J0 it never falls; before, memberships are hard.
    variance_ : float
        The within-cluster variance per feature, `soft_inertia_` / (W d).
    free_energy_ : float
        The normalised free energy at `temperature_`, at least `inertia_`.
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
    SoftKMeans : The same memberships at a given or learned temperature.
    temperature_path : Fits at falling temperatures.

    Notes
    -----
    The distortion of given centers rises with T, from their inertia at T = 0. The T at
    which it is J0 is found to rounding in every iteration, by several E-steps where
    `SoftKMeans` needs one. Where the initial centers have an inertia of J0 or more,
    iterations of k-means come first. If these do not end below J0, the result is that
    of k-means, with a warning.

    The multiplier of the constraint is 1 / T. From one iteration to the next the
    entropy cannot fall: about the new means the memberships have no more than the
    distortion J0, so that those of maximum entropy have at least theirs. At a fixed
    temperature, as in `SoftKMeans`, the entropy can fall; there it is the free energy
    that cannot rise.

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

    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998, :doi:`10.1109/5.726788`.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_softkmeans import MaxEntropyKMeans
    >>> X = np.array([[0.0, 0], [0, 2], [0, 4], [10, 0], [10, 2], [10, 4]])
    >>> model = MaxEntropyKMeans(n_clusters=2, distortion=0.3, random_state=0).fit(X)
    >>> scatter = ((X - X.mean(axis=0)) ** 2).sum()
    >>> round(float(model.soft_inertia_ / scatter), 9)
    0.3
    >>> round(model.temperature_, 1)
    32.0
    """

    _parameter_constraints: dict = {
        **BaseSoftKMeans._parameter_constraints,
        "distortion": [Interval(Real, 0, None, closed="neither")],
        "distortion_unit": [StrOptions({"scatter", "absolute"})],
        "alpha": ALPHA,
    }
    _dial = "distortion"

    def __init__(
        self,
        n_clusters=8,
        *,
        distortion=0.2,
        distortion_unit="scatter",
        alpha=1.0,
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
        self.distortion = distortion
        self.distortion_unit = distortion_unit
        self.alpha = alpha

    def _make_assignment(self):
        """Return the map of order alpha."""
        return make_assignment(self.alpha)

    def _schedule(self, chunks, moments, assignment, unit):
        """Return the schedule that solves for the temperature."""
        return Solved(
            self._target(moments, unit),
            moments.weight * chunks.X.shape[1],
            moments.weight * assignment.uniform(self.n_clusters),
            float(np.finfo(chunks.X.dtype).eps),
        )

    def _target(self, moments, unit):
        """Return J0 in units of the scaled weights; a ValueError if it is too high."""
        absolute = self.distortion_unit == "absolute"
        limit = moments.scatter * unit if absolute else 1.0
        if self.distortion >= limit:
            meaning = (
                "below the total scatter" if absolute else "a share of the scatter"
            )
            raise ValueError(
                f"distortion must be in (0, {limit:.6g}), {meaning} of X, got "
                f"{self.distortion}."
            )
        return self.distortion / limit * moments.scatter

    def _model(self, describe, schedule, centers, temperature, unit):
        """Return the fitted attributes, at the temperature of these centers."""
        models = {}

        def distortion(temperature):
            models[temperature] = describe(centers, temperature)
            return models[temperature]["soft_inertia_"] / unit

        temperature, _ = schedule.solve(distortion, temperature)
        return models[temperature]

    def _doubts(self, chunks, moments, unit, model, result, stopped):
        """Return what to warn of: also of a distortion that was not reached."""
        result = result._replace(temperature=model["temperature_"])
        doubts = super()._doubts(chunks, moments, unit, model, result, stopped)
        if not (result.temperature or stopped) and moments.scatter:
            lowest = model["inertia_"]
            if self.distortion_unit == "scatter":
                lowest = lowest / unit / moments.scatter
            advice = "distortion, n_clusters or n_init"
            if self.n_clusters == 1:
                advice = "n_clusters"
            elif not result.reason:
                advice = "max_iter"
            doubts.append(
                f"distortion={self.distortion} was not reached: the memberships are "
                f"hard, and the lowest value is {lowest:.6g}. Increase {advice}."
            )
        return doubts

    def _conclude(self, model, result, schedule, unit):
        """Return all fitted attributes, and what the best run has least of."""
        free_energy, distortion = model["free_energy_"], model["soft_inertia_"]
        temperature = model["temperature_"]
        entropy = schedule.entropy(free_energy / unit, distortion / unit, temperature)
        own = {
            "entropy_": float(unit * entropy),
            "entropies_": unit * np.maximum(-result.objectives, 0),
        }
        return model | own, (-entropy, model["inertia_"])
