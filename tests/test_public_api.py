"""The public names, their signatures and their docstrings."""

import importlib.metadata
import inspect
import pkgutil
import re

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans

import sk_softkmeans
from sk_softkmeans import metrics


def public_names(module):
    """Return what is public in a module, but for modules."""
    public = [getattr(module, name) for name in module.__all__]
    return [thing for thing in public if not inspect.ismodule(thing)]


PUBLIC = public_names(sk_softkmeans) + public_names(metrics)
CLASSES = [thing for thing in PUBLIC if inspect.isclass(thing)]
ESTIMATORS = [cls for cls in CLASSES if issubclass(cls, BaseEstimator)]
COMMON = {"transform_to": "distances"}
TEMPERATURE = {"temperature": "auto", "temperature_unit": "absolute"}
OWN = {
    "AnnealedRBFKMeans": {
        **TEMPERATURE,
        "alpha": 1.0,
        "temperature_max": "auto",
        "temperature_min": 0.0,
        "cooling_rate": 0.7,
        "max_iter_per_temperature": 3,
        "solver": "em",
        "loss": "free_energy",
        "relocate": True,
    },
    "EntmaxKMeans": {**TEMPERATURE, "alpha": 1.5, "sparse_output": False},
    "MaxEntropyKMeans": {
        "distortion": 0.2,
        "distortion_unit": "scatter",
        "alpha": 1.0,
    },
    "SoftKMeans": TEMPERATURE,
    "TruncatedKMeans": {
        **TEMPERATURE,
        "n_active": 3,
        "n_neighbors": "auto",
        "alpha": 1.0,
        "learn_weights": False,
        "sparse_output": False,
    },
}
# Some attributes need these.
ALL_ATTRIBUTES = {"TruncatedKMeans": {"learn_weights": True}}
SECTIONS = ("Parameters", "Attributes", "Returns", "Raises", "Warns", "See Also")
SECTIONS += ("Notes", "References", "Examples")


def public_methods(cls):
    """Return the public methods that this package defines, class methods too."""
    members = inspect.getmembers(cls, inspect.isfunction)
    members += inspect.getmembers(cls, inspect.ismethod)
    public = [member for name, member in members if not name.startswith("_")]
    return [member for member in public if "sk_softkmeans" in member.__module__]


def section(thing, title):
    """Return the names in one section of a numpydoc docstring, in their order."""
    doc = inspect.getdoc(thing)
    titles = "|".join(SECTIONS)
    found = re.search(
        rf"^{title}\n-+\n(.*?)(?=^(?:{titles})\n-+\n|\Z)", doc, re.DOTALL | re.MULTILINE
    )
    if found is None:
        return []
    entries = re.findall(r"^(\S.*?)(?: : .*)?$", found[1], re.MULTILINE)
    return [name for entry in entries for name in entry.split(", ")]


def signature(thing):
    """Return the parameters of a function, method or class, without self."""
    return [name for name in inspect.signature(thing).parameters if name != "self"]


FUNCTIONS = [thing for thing in PUBLIC if inspect.isfunction(thing)]
FUNCTIONS += [method for cls in CLASSES for method in public_methods(cls)]


def test_all_is_what_is_public():
    public = {name for name in vars(sk_softkmeans) if not name.startswith("_")}
    assert public == set(sk_softkmeans.__all__)


@pytest.mark.parametrize("module", [sk_softkmeans, metrics])
def test_all_is_sorted(module):
    assert sorted(module.__all__) == module.__all__


def test_modules_are_private_or_public_names():
    modules = {module.name for module in pkgutil.iter_modules(sk_softkmeans.__path__)}
    public = {name for name in modules if not name.startswith("_")}
    assert public <= set(sk_softkmeans.__all__)


@pytest.mark.parametrize("thing", CLASSES + FUNCTIONS, ids=lambda t: t.__qualname__)
def test_docstring_has_every_parameter(thing):
    first, *rest = inspect.getdoc(thing).split("\n")
    assert first.endswith(".")
    assert len(first) <= 79
    assert not rest or rest[0] == ""
    assert section(thing, "Parameters") == signature(thing)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_docstring_has_returns(function):
    assert section(function, "Returns")


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_docstring_has_an_example(thing):
    assert ">>> " in inspect.getdoc(thing)


@pytest.mark.filterwarnings("ignore:distortion=0.2 was not reached")
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_docstring_has_every_attribute(estimator):
    pd = pytest.importorskip("pandas")
    X = np.random.RandomState(0).standard_normal((20, 2))
    model = estimator(2, random_state=0, **ALL_ATTRIBUTES.get(estimator.__name__, {}))
    model.fit(pd.DataFrame(X, columns=["a", "b"]))
    fitted = {name for name in vars(model) if name.endswith("_")}
    listed = section(estimator, "Attributes")
    assert set(listed) == fitted
    assert len(listed) == len(fitted)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_constructor(estimator):
    ours = inspect.signature(estimator).parameters
    kmeans = inspect.signature(KMeans).parameters
    expected = {name: kmeans[name].default for name in kmeans} | COMMON
    expected |= OWN[estimator.__name__]
    del expected["algorithm"], expected["copy_x"]
    assert {name: ours[name].default for name in ours} == expected
    first, *others = ours.values()
    assert first.name == "n_clusters"
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {other.kind for other in others} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_methods_take_what_those_of_kmeans_take(estimator):
    for name in dir(KMeans):
        theirs = getattr(KMeans, name)
        if not name.startswith("_") and callable(theirs):
            assert signature(getattr(estimator, name)) == signature(theirs), name


def test_version():
    try:
        installed = importlib.metadata.version("sk-softkmeans")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sk-softkmeans is not installed")
    assert sk_softkmeans.__version__ == installed
