"""scikit-learn's callbacks on fit."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import AnnealedRBFKMeans

reason = "callbacks came with scikit-learn 1.9"
callback = pytest.importorskip("sklearn.callback", reason=reason)


class Record:
    """A callback that writes down its tasks, and stops where it is told to."""

    def __init__(self, stop=None):
        self.stop, self.hooks, self.tree, self.ended = stop, [], [], []

    def setup(self, estimator, context):
        self.hooks.append("setup")

    def on_fit_task_begin(self, estimator, context):
        parent = context.parent.task_name if context.parent else None
        self.tree.append((context.task_name, parent, context.task_id))

    def on_fit_task_end(
        self,
        estimator,
        context,
        *,
        X=None,
        y=None,
        metadata=None,
        fitted_estimator=None,
    ):
        self.ended.append((context.task_name, X, y, metadata, fitted_estimator))
        return context.task_name == self.stop

    def teardown(self, estimator, context):
        self.hooks.append("teardown")

    def models(self):
        """Return the fitted estimators of the iterations."""
        return [end[-1] for end in self.ended if end[0] == "iteration"]


class Raise(Record):
    """A callback with a bug."""

    def on_fit_task_end(self, estimator, context):
        raise RuntimeError("of the callback")


def own_score(estimator, X, y=None, sample_weight=None):
    """Return the default score in the form that ScoringMonitor of 1.9 can log."""
    return {"score": estimator.score(X, sample_weight=sample_weight)}


@pytest.fixture
def model(estimator_class):
    """Return a model of two runs."""
    return estimator_class(3, init="random", n_init=2, random_state=0)


def recorded(model, blobs, record, **parameters):
    """Return the model that is fitted while a callback records."""
    model = clone(model).set_params(**parameters)
    return model.set_callbacks(record).fit(blobs)


def fitted_bytes(model):
    """Return the fitted attributes as bytes."""
    fitted = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    return {name: np.asarray(value).tobytes() for name, value in fitted.items()}


def test_task_tree(model, blobs):
    record = Record()
    model = recorded(model, blobs, record, n_init=1)
    assert record.hooks == ["setup", "teardown"]
    iterations = [("iteration", "restart", i) for i in range(model.n_iter_)]
    assert record.tree == [("fit", None, 0), ("restart", "fit", 0), *iterations]
    ended = [end[0] for end in record.ended]
    assert ended == model.n_iter_ * ["iteration"] + ["restart", "fit"]


def test_one_restart_task_per_run(model, blobs):
    record = Record()
    recorded(model, blobs, record, n_init=3)
    restarts = [task for task in record.tree if task[0] == "restart"]
    assert restarts == [("restart", "fit", i) for i in range(3)]


@pytest.mark.parametrize("solver", ["em", "gradient", "lbfgs"])
def test_every_solver_begins_and_ends_each_iteration(blobs, solver):
    record = Record()
    model = AnnealedRBFKMeans(3, solver=solver, temperature_min=1.0, random_state=0)
    model = recorded(model, blobs, record)
    begun = [task[0] for task in record.tree].count("iteration")
    assert begun == len(record.models()) == model.n_iter_


@pytest.mark.parametrize("stop", ["iteration", "restart"])
def test_a_stopped_annealing_has_not_converged(blobs, stop):
    model = recorded(AnnealedRBFKMeans(3, random_state=0), blobs, Record(stop))
    assert model.converged_ == (stop == "restart")


@pytest.mark.temperatures(0, 1.0, "auto", "solved")
def test_callbacks_do_not_change_the_fit(model, blobs, temperature, at):
    watched = recorded(model, blobs, Record(), **at(temperature))
    alone = clone(model).set_params(**at(temperature)).fit(blobs)
    assert fitted_bytes(watched) == fitted_bytes(alone)
    assert set(vars(watched)) - set(vars(alone)) == {"_skl_callbacks"}


@pytest.mark.temperatures(0, 1.0, "auto", "solved")
def test_fitted_estimators_work(model, blobs, temperature, at):
    record = Record()
    model = recorded(model, blobs, record, **at(temperature), n_init=1)
    assert len(record.models()) == model.n_iter_
    for stage in record.models():
        np.testing.assert_array_equal(stage.predict(blobs), stage.labels_)
        assert np.isfinite(stage.score(blobs))
        assert stage.transform(blobs).shape == (300, 3)
    last = {"cluster_centers_", "labels_", "free_energy_", "temperature_", "variance_"}
    given, final = fitted_bytes(record.models()[-1]), fitted_bytes(model)
    assert {name: given[name] for name in last} == {name: final[name] for name in last}


@pytest.mark.parametrize("names", [list("abcd"), None])
def test_fitted_estimators_of_a_refit_know_the_new_features(
    estimator_class, blobs, names
):
    pd = pytest.importorskip("pandas")
    old = pd.DataFrame(blobs, columns=list("wxyz"))
    new = pd.DataFrame(blobs, columns=names) if names else blobs
    record = Record()
    estimator_class(3, random_state=0).fit(old).set_callbacks(record).fit(new)
    # A UserWarning about feature names would be an error.
    record.models()[0].predict(new)


def test_callbacks_see_the_data(estimator_class, blobs):
    record, y, weights = Record(), np.arange(300), np.ones(300)
    model = estimator_class(3, random_state=0).set_callbacks(record)
    model.fit(blobs, y, sample_weight=weights)
    for _, X, target, metadata, _ in record.ended:
        assert X is not None
        assert target is y
        assert metadata["sample_weight"] is weights


@pytest.mark.parametrize("stop", ["iteration", "restart"])
@pytest.mark.temperatures(0, 1.0, "auto", "solved")
def test_a_callback_stops_the_fit(model, blobs, temperature, stop, at):
    record = Record(stop)
    model = recorded(model, blobs, record, **at(temperature), n_init=3)
    assert [task[0] for task in record.tree].count("restart") == 1
    assert model.converged_ == (stop == "restart")
    assert model.n_iter_ == len(record.models()) == len(model.free_energies_)
    assert stop == "restart" or model.n_iter_ == 1
    np.testing.assert_array_equal(model.predict(blobs), model.labels_)
    assert np.isfinite(model.score(blobs))


def test_an_error_in_a_callback_leaves_no_trace(estimator_class, blobs):
    record = Raise()
    model = estimator_class(3, random_state=0).set_callbacks(record)
    with pytest.raises(RuntimeError, match="of the callback"):
        model.fit(blobs)
    assert record.hooks == ["setup", "teardown"]
    extra = set(vars(model)) - set(model.get_params())
    assert extra == {"_skl_callbacks"}


@pytest.mark.parametrize("y", [None, np.arange(300) % 3], ids=["no y", "y"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scoring_monitor_logs_every_iteration(estimator_class, blobs, y, weighted):
    weights = np.arange(300) % 4 + 1.0 if weighted else None
    monitor = callback.ScoringMonitor(scoring=own_score)
    model = estimator_class(3, random_state=0).set_callbacks(monitor)
    model.fit(blobs, y, sample_weight=weights)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == model.n_iter_ * ["iteration"]
    assert [row["task_id"] for row in log] == list(range(model.n_iter_))
    assert log[-1]["score"] == model.score(blobs, sample_weight=weights)


@pytest.mark.parametrize("depth", [0, 1, None])
@pytest.mark.parametrize("wrapped", ["estimator", "pipeline", "search"])
def test_progress_bar(estimator_class, blobs, capsys, wrapped, depth):
    pytest.importorskip("rich")
    model = estimator_class(3, random_state=0)
    if wrapped == "pipeline":
        model = make_pipeline(StandardScaler(), model)
    elif wrapped == "search":
        model = GridSearchCV(model, {"n_clusters": [2, 3]}, cv=2)
    model.set_callbacks(callback.ProgressBar(max_propagation_depth=depth)).fit(blobs)
    shown, restart = capsys.readouterr().out, f"{estimator_class.__name__} - restart"
    assert f"{type(model).__name__} - fit" in shown
    assert (restart in shown) == (wrapped == "estimator" or depth != 0)
