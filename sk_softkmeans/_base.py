"""The estimators' one base class: fit, predict, predict_proba, transform, score."""

import warnings
from copy import copy
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, csr_matrix, vstack
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sk_softkmeans._assignments import Softmax
from sk_softkmeans._chunks import in_chunks
from sk_softkmeans._em import hard_inertia, run
from sk_softkmeans._init import make_seeding
from sk_softkmeans._moments import check_start, data_moments
from sk_softkmeans._monitor import Monitor, callback_data
from sk_softkmeans._reading import describe as describe_fit
from sk_softkmeans._reading import fill_distances, read, variance_floor
from sk_softkmeans._schedules import Constant, Learned, critical
from sk_softkmeans._steps import Assignment, Steps
from sk_softkmeans._validation import (
    FIT_STACKLEVEL,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _fit_context,
    _num_samples,
    check_data,
    check_init,
    check_weights,
    plain_parameters,
    resolve_n_init,
    with_callbacks,
)

# Centers all within this many standard deviations of the mean have collapsed.
_COLLAPSED = 0.02
# In a fixed order: the bytes of a pickled model have it.
_FEATURES = ("n_features_in_", "feature_names_in_")
# Fitted attributes in units of sample_weight.
_WEIGHTED = {"inertia_", "soft_inertia_", "free_energy_"}
# The constraints of estimators that are given their temperature.
TEMPERATURE = {
    "temperature": [
        StrOptions({"auto", "ml"}),
        Interval(Real, 0, None, closed="left"),
    ],
    "temperature_unit": [StrOptions({"absolute", "critical"})],
}


class BaseSoftKMeans(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseEstimator,
):
    """What all estimators share. Think twice before adding anything to this class.

    A subclass is a docstring, ``__init__`` and, for parameters of its own, constraints
    and hooks.
    """

    # The parameter that makes memberships harder when it is lowered.
    _dial = "temperature"
    # What `_model` needs of the last E-step besides: see `_reading.describe`.
    _also = ()

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "transform_to": [StrOptions({"distances", "responsibilities"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        transform_to="distances",
        verbose=0,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.transform_to = transform_to
        self.verbose = verbose
        self.random_state = random_state

    def _make_assignment(self):
        """Return the map from logits to responsibilities at positive temperatures."""
        return Softmax()

    def _schedule(self, chunks, moments, assignment, unit):
        """Return the schedule that the parameters ask for; `unit` is of the weights."""
        n_features = chunks.X.shape[1]
        if isinstance(self.temperature, str):
            if self.temperature == "ml" and not assignment.has_likelihood:
                raise ValueError(
                    f"temperature must be 'auto' or a float when alpha > 1 (memberships"
                    f" that can be 0 have no likelihood), got 'ml' with "
                    f"alpha={assignment.alpha}."
                )
            factor = 2.0 if self.temperature == "ml" else 3 ** (assignment.alpha - 1)
            floor = variance_floor(moments, chunks.X.dtype)
            return Learned(factor, moments.weight * n_features, floor)
        return Constant(self._absolute("temperature", chunks, moments, assignment))

    def _unit(self, chunks, moments, assignment):
        """Return the unit of temperatures that are given as numbers."""
        if self.temperature_unit == "absolute":
            return 1.0
        return critical(chunks, moments, self.n_clusters, assignment.alpha)

    def _absolute(self, name, chunks, moments, assignment):
        """Return a parameter that is a temperature, in squared units of X."""
        value = float(getattr(self, name))
        if value == 0:
            # It needs no unit, which costs a pass over the samples.
            return 0.0
        unit = self._unit(chunks, moments, assignment)
        temperature = value * unit
        if not np.isfinite(temperature):
            raise ValueError(
                f"{name} times the critical temperature {unit:.3g} must be finite, got "
                f"{name}={value}."
            )
        return temperature

    def _search(self, chunks, moments, schedule, assignment):
        """Return what finds centers: ``search(centers, monitor)`` is a FitResult."""
        steps = Steps(chunks.X.shape[0], assignment, schedule.learned)

        def search(centers, monitor):
            limits = {"max_iter": self.max_iter, "tol": self.tol, "monitor": monitor}
            return run(chunks, moments, centers, schedule, steps, **limits)

        return search

    def _model(self, describe, schedule, centers, temperature, unit):
        """Return the fitted attributes of centers that a run has at a temperature."""
        return describe(centers, temperature)

    def _conclude(self, model, result, schedule, unit):
        """Return all fitted attributes of a run, and what the best run has least of."""
        free_energy = model["free_energy_"] / unit
        return model, schedule.best(free_energy, result.temperature)

    @property
    def _max_iterations(self):
        """Return the largest number of iterations of a run, None if that is unknown."""
        return self.max_iter

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find centers and temperature.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples, dense in any memory order or CSR. float32 and float64 are
            kept, everything else becomes float64. X is never written, nor copied but
            for the rows that the seeding sees.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the samples, not negative; all 1 if None. A weight of 2 is
            the same as having the sample twice. Not used by an `init` that is a
            callable or an array of centers.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or `sample_weight` is out of range, or X has fewer
            samples than clusters.
        TypeError
            If `sample_weight` or `init` is sparse.
        """
        # A copy with plain parameters is fitted. It is seen when all is done, by one
        # assignment: an earlier fit survives whatever stops this one.
        fitting = copy(self)
        given = self.get_params(deep=False)
        constraints = self._parameter_constraints
        vars(fitting).update(plain_parameters(given, constraints, type(self).__name__))
        X = check_data(X, fitting)
        if X.shape[0] < fitting.n_clusters:
            raise ValueError(
                f"n_samples={X.shape[0]} should be >= n_clusters={fitting.n_clusters}."
            )
        weights, unit = check_weights(sample_weight, X)
        init = check_init(fitting.init, X, fitting.n_clusters)
        n_init = resolve_n_init(fitting.n_init, init, type(self).__name__)
        watch = partial(Monitor, self, callback_data(X, y, sample_weight), n_init)

        def _find(chunks):
            return fitting._find(chunks, unit, init, n_init, watch)

        fitted, doubts = in_chunks(X, weights, fitting.n_clusters, _find)
        self._warn(doubts)
        others = {n: value for n, value in vars(self).items() if not n.endswith("_")}
        self.__dict__ = others | fitted
        return self

    def _find(self, chunks, unit, init, n_init, watch):
        """Return the fitted attributes, and what to warn of.

        Parameters
        ----------
        chunks : Chunks
            The samples, with weights in units of `unit`.
        unit : float
            The unit of the weights.
        init : str, callable or ndarray
            The parameter, checked.
        n_init : int
            The number of runs.
        watch : callable
            What makes the `Monitor`, of its last three parameters.
        """
        X, random_state = chunks.X, check_random_state(self.random_state)
        assignment = self._make_assignment()
        features = {name: getattr(self, name, None) for name in _FEATURES}
        moments = data_moments(chunks)
        if not 4 * moments.scatter * unit < np.inf:
            raise ValueError(
                f"sample_weight must keep the weighted sum of squared distances "
                f"finite, got weights up to {chunks.sample_weight.max() * unit:.3g}."
            )
        schedule = self._schedule(chunks, moments, assignment, unit)
        search = self._search(chunks, moments, schedule, assignment)
        draw = make_seeding(init, chunks, moments, self.n_clusters)

        def describe(centers, temperature):
            centers = (moments.origin + centers).astype(X.dtype)
            model = describe_fit(
                chunks, moments, centers, temperature, assignment, self._also
            )
            weighted = {name: model[name] * unit for name in _WEIGHTED}
            return features | model | weighted | {"_assignment": assignment}

        def model_of(centers, temperature):
            return self._model(describe, schedule, centers, temperature, unit)

        def inertia_of(centers):
            return hard_inertia(chunks, moments, centers) * unit

        monitor = watch(self._max_iterations, model_of, inertia_of)
        best = None
        for _ in range(n_init):
            centers = draw(random_state) - moments.origin
            check_start(chunks, moments, unit, centers)
            monitor.begin_restart()
            result = search(centers, monitor)
            model = model_of(result.centers, result.temperature)
            model, objective = self._conclude(model, result, schedule, unit)
            if best is None or objective < best[0]:
                best = objective, model, result
            monitor.end_restart(result.reason)
            if monitor.stopped:
                break
        _, model, result = best
        doubts = self._doubts(chunks, moments, unit, model, result, monitor.stopped)
        monitor.end()
        model |= {
            "free_energies_": result.free_energies * unit,
            "temperatures_": result.temperatures,
            "n_iter_": len(result.free_energies),
            "converged_": result.reason is not None,
        }
        if model["feature_names_in_"] is None:
            del model["feature_names_in_"]
        return model, doubts

    def _warn(self, doubts):
        """Warn of fits that are not what they seem, and say what to do."""
        for doubt in doubts:
            warnings.warn(doubt, ConvergenceWarning, stacklevel=FIT_STACKLEVEL)

    def _doubts(self, chunks, moments, unit, model, result, stopped):
        """Return what to warn of."""
        temperature, doubts = result.temperature, []
        distinct = len(np.unique(model["labels_"]))
        limit = self._collapsed_below(chunks, moments, model, result)
        if limit:
            doubts.append(
                f"All centers collapsed onto the mean of X: the temperature "
                f"{temperature:.6g} is too high for {self.n_clusters} clusters. Choose "
                f"one well below the critical temperature {limit:.6g}."
            )
        elif distinct < self.n_clusters:
            message = (
                f"Number of distinct clusters ({distinct}) found smaller than "
                f"n_clusters ({self.n_clusters}). Possibly due to duplicate points "
                f"in X."
            )
            if temperature:
                message += f" Or centers have merged: lower {self._dial} or n_clusters."
            doubts.append(message)
        if temperature and not (result.reason or stopped):
            doubts.append(
                f"The centers still moved after max_iter={self.max_iter} iterations. "
                f"Increase max_iter or tol, or lower {self._dial}."
            )
        return doubts

    def _collapsed_below(self, chunks, moments, model, result):
        """Return the critical temperature if centers are at the mean for it, else 0."""
        spread = np.sqrt((result.centers**2).sum(axis=1).max())
        if self.n_clusters == 1 or spread > _COLLAPSED * np.sqrt(moments.variance):
            return 0.0
        # Poor initial centers can end near the mean at any temperature.
        alpha = model["_assignment"].alpha
        unit = critical(chunks, moments, self.n_clusters, alpha)
        return unit if unit <= 2 * result.temperature else 0.0

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit and return the labels of the samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the samples; all 1 if None.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The index of each sample's cluster.
        """
        return self.fit(X, y, sample_weight=sample_weight).labels_

    def fit_transform(self, X, y=None, sample_weight=None):
        """Fit and transform the samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the samples; all 1 if None.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_clusters)
            What `transform` gives.
        """
        return self.fit(X, y, sample_weight=sample_weight)._transform(X)

    def predict(self, X):
        """Return the cluster of each sample: that of the nearest center.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The index of each sample's cluster, the lowest on ties.
        """
        X = self._check_new(X)
        labels = np.empty(X.shape[0], dtype=np.int32)

        def _consume(rows, _, read):
            labels[rows] = read.likeliest

        self._read(X, _consume)
        return labels

    def predict_proba(self, X):
        """Return the responsibilities (memberships) of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        responsibilities : {ndarray, CSR matrix} of shape (n_samples, n_clusters)
            Rows that sum to 1, at `temperature_`; one-hot at temperature 0. CSR if the
            estimator has a parameter `sparse_output` that is True.
        """
        X = self._check_new(X)
        if not getattr(self, "sparse_output", False):
            return self._fill(X, Assignment.responsibilities)

        def _consume(rows, weights, read):
            return [csr_array(read.responsibilities().astype(X.dtype, copy=False))]

        parts = self._read(X, _consume)
        as_array = get_config().get("sparse_interface") == "sparray"
        return (csr_array if as_array else csr_matrix)(vstack(parts, format="csr"))

    def predict_log_proba(self, X):
        """Return the logarithms of the responsibilities of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        log_responsibilities : ndarray of shape (n_samples, n_clusters)
            They stay finite where a softmax responsibility underflows to 0; -inf
            wherever another responsibility is 0, as at temperature 0.
        """
        X = self._check_new(X)
        return self._fill(X, Assignment.log_responsibilities)

    def transform(self, X):
        """Return the distances to the centers, or the responsibilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_clusters)
            Euclidean distances if `transform_to` is "distances", else what
            `predict_proba` gives: normalised radial basis features.
        """
        return self._transform(X)

    def _transform(self, X):
        if self.transform_to == "responsibilities":
            return self.predict_proba(X)
        X = self._check_new(X)
        distances = np.empty((X.shape[0], self._n_features_out), dtype=X.dtype)

        def fill(chunks):
            fill_distances(chunks, self.cluster_centers_, distances)

        in_chunks(X, check_weights(None, X)[0], self._n_features_out, fill)
        return distances

    def score_samples(self, X):
        r"""Return the log-density of each sample under the fitted mixture.

        .. math:: \log \frac{1}{K} \sum_k
            \frac{\exp(-\|x - c_k\|^2 / (2 v))}{(2 \pi v)^{d / 2}}

        with v = `variance_`, whatever the temperature.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In natural units (nats).
        """
        X = self._check_new(X)
        out = np.empty(X.shape[0], dtype=X.dtype)

        def _consume(rows, _, log_density):
            # Far samples are below what float32 can say: -inf.
            with np.errstate(over="ignore"):
                out[rows] = log_density

        self._read_mixture(X, _consume)
        return out

    def score(self, X, y=None, sample_weight=None):
        """Return the mean log-density of the samples: higher is better.

        Its best value over temperatures is inside their range, so that
        ``GridSearchCV`` can choose one; KMeans's score has it at temperature 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the samples; all 1 if None.

        Returns
        -------
        score : float
            The weighted mean of `score_samples`.
        """
        X = self._check_new(X)

        def _consume(_, weights, log_density):
            # The density of samples without weight may be 0, its logarithm -inf.
            log_density = np.where(weights > 0, log_density, 0)
            return np.array([weights @ log_density, weights.sum()])

        total, weight = self._read_mixture(X, _consume, sample_weight)
        return float(total / weight)

    def bic(self, X):
        """Return the Bayesian information criterion of the mixture: lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        bic : float
            With n_clusters x n_features + 1 parameters, and those of learned shares.
        """
        fit = -2 * self.score(X) * _num_samples(X)
        return fit + self._n_parameters * np.log(_num_samples(X))

    def aic(self, X):
        """Return the Akaike information criterion of the mixture: lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        aic : float
            With n_clusters x n_features + 1 parameters, and those of learned shares.
        """
        fit = -2 * self.score(X) * _num_samples(X)
        return fit + 2 * self._n_parameters

    def sample(self, n_samples=1):
        """Draw samples from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The samples, ordered by cluster.
        y : ndarray of shape (n_samples,)
            Their clusters.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(
                f"n_samples must be an int that is at least 1, got {n_samples!r}."
            )
        random_state = check_random_state(self.random_state)
        centers = self.cluster_centers_
        uniform = np.full(len(centers), 1 / len(centers))
        shares = getattr(self, "weights_", uniform)
        counts = random_state.multinomial(int(n_samples), shares)
        labels = np.repeat(np.arange(len(centers)), counts)
        noise = random_state.standard_normal((n_samples, centers.shape[1]))
        X = centers[labels] + np.sqrt(self.variance_) * noise
        return X.astype(centers.dtype, copy=False), labels

    def _check_new(self, X):
        check_is_fitted(self)
        return check_data(X, self, reset=False)

    def _read(self, X, consume, sample_weight=None):
        """Reduce ``consume(rows, weights, read)`` at `temperature_`."""
        return self._read_at(
            self.temperature_, self._assignment, X, consume, sample_weight
        )

    def _read_mixture(self, X, consume, sample_weight=None):
        """Reduce ``consume(rows, weights, log_density)`` of the isotropic mixture."""
        v = self.variance_
        constant = self.cluster_centers_.shape[1] / 2 * np.log(2 * np.pi * v)

        def log_density(rows, weights, read):
            nearest = read.nearest.astype(np.float64)
            return consume(rows, weights, -nearest / (2 * v) - read.value - constant)

        return self._read_at(2 * v, self._mixture(), X, log_density, sample_weight)

    def _mixture(self):
        """Return the map whose free energy is that of the fitted mixture."""
        return Softmax()

    @property
    def _n_parameters(self):
        """Return the number of parameters of the fitted mixture."""
        return self.cluster_centers_.size + 1

    def _read_at(self, temperature, assignment, X, consume, sample_weight):
        weights, _ = check_weights(sample_weight, X)

        def _read(chunks):
            return read(chunks, self.cluster_centers_, temperature, assignment, consume)

        return in_chunks(X, weights, self._n_features_out, _read)

    def _fill(self, X, give):
        out = np.empty((X.shape[0], self._n_features_out), dtype=X.dtype)

        def consume(rows, _, read):
            out[rows] = give(read)

        self._read(X, consume)
        return out

    @property
    def _n_features_out(self):
        return len(self.cluster_centers_)

    def __sklearn_is_fitted__(self):
        """Return whether there are centers."""
        return hasattr(self, "cluster_centers_")

    def __sklearn_tags__(self):
        """Return KMeans's tags."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
