"""The map as a function: against sorting, bisection, softmax and the published one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from sk_softkmeans import entmax

ALPHAS = [1.001, 1.05, 1.2, 1.5, 1.9, 1.999, 2]
FINITE = st.floats(-1e300, 1e300, allow_subnormal=False) | st.floats(-3, 3)
SCALES = [1e-300, 1e-20, 1e-3, 0.1, 1.0, 30.0, 1e6, 1e300]


def by_bisection(z, alpha):
    """Return the probabilities of the rows of z by halving the threshold's range."""
    y = (alpha - 1) * (z - z.max(axis=1, keepdims=True))
    low, high = np.full((len(y), 1), -1.0), np.zeros((len(y), 1))
    for _ in range(100):
        middle = (low + high) / 2
        p = np.maximum(y - middle, 0) ** (1 / (alpha - 1))
        above = p.sum(axis=1, keepdims=True) >= 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    p = np.maximum(y - low, 0) ** (1 / (alpha - 1))
    return p / p.sum(axis=1, keepdims=True)


def by_sorting(z, alpha):
    """Return the same for alpha 1.5 or 2 by trying every size of the support."""
    q = 1 / (alpha - 1)
    y = (alpha - 1) * (z - z.max(axis=1, keepdims=True))
    y_sorted = -np.sort(-y, axis=1)
    size = np.arange(1, y.shape[1] + 1)
    # Of logits far below, which no support holds, only the order matters.
    mean = np.maximum(y_sorted, -4).cumsum(axis=1) / size
    if q == 1:
        threshold = mean - 1 / size
    else:
        square = (np.maximum(y_sorted, -4) ** 2).cumsum(axis=1) / size
        spread = size * (square - mean**2)
        threshold = mean - np.sqrt(np.maximum((1 - spread) / size, 0))
    count = (threshold <= y_sorted).sum(axis=1, keepdims=True)
    return np.maximum(y - np.take_along_axis(threshold, count - 1, axis=1), 0) ** q


def sample_rows(kind, n_columns, scale):
    """Return some rows of logits."""
    n_rows = 4 if n_columns > 1000 else 40
    if kind == "constant":
        return np.full((n_rows, n_columns), scale)
    z = np.random.default_rng(n_columns).standard_normal((n_rows, n_columns))
    if kind == "tied":
        z = z.round()
    return z * scale


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n_columns", [1, 2, 17, 6400])
@pytest.mark.parametrize("kind", ["random", "tied", "constant"])
def test_against_bisection_and_sorting(kind, n_columns, scale, alpha):
    z = sample_rows(kind, n_columns, scale)
    p = entmax(z, alpha)
    atol = 1e-12 if alpha >= 1.2 else 1e-10
    assert_allclose(p, by_bisection(z, alpha), rtol=0, atol=atol)
    if alpha in (1.5, 2):
        assert_allclose(p, by_sorting(z, alpha), rtol=0, atol=1e-12)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("alpha", [1, *ALPHAS])
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 0.1, 1.0, 30.0, 1e30])
@pytest.mark.parametrize("n_columns", [1, 2, 17, 6400])
def test_float32(n_columns, scale, alpha):
    z = sample_rows("random", n_columns, scale).astype(np.float32)
    p = entmax(z, alpha)
    assert p.dtype == np.float32
    exact = z.astype(np.float64)
    expected = softmax(exact, axis=1) if alpha == 1 else by_bisection(exact, alpha)
    assert_allclose(p, expected, rtol=0, atol=1e-6)
    assert_allclose(p.sum(axis=1, dtype=np.float64), 1, rtol=1e-6)
    tied = entmax((z / scale).round() * np.float32(scale), alpha)
    assert_allclose(tied.sum(axis=1, dtype=np.float64), 1, rtol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n_columns", [1, 2, 17, 6400])
def test_alpha_1_is_softmax(n_columns, scale):
    z = sample_rows("random", n_columns, scale)
    assert_allclose(entmax(z, 1), softmax(z, axis=1), rtol=1e-12, atol=1e-300)


def test_two_logits_by_hand():
    # With r_1 - r_2 = gap / 2 and r_1^2 + r_2^2 = 1; with p_1 - p_2 = gap.
    r = (0.5 + np.sqrt(2 - 0.25)) / 2
    assert_allclose(entmax([1.0, 0.0]), [r * r, 1 - r * r], rtol=1e-15)
    assert_allclose(entmax([0.25, 0.0], alpha=2), [0.625, 0.375], rtol=1e-15)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_one_hot_from_a_gap_on(alpha):
    z = np.array([[0.0, -1.0], [0.0, -1 - 1e-9], [0.0, -1 + 1e-9]]) / (alpha - 1)
    p = entmax(z, alpha)
    assert_array_equal(p[:2], [[1, 0], [1, 0]])
    # (1e-9)^q is below the smallest number when alpha is near 1.
    assert (p[2] > 0).all() == (alpha >= 1.05)


@given(arrays(np.float64, (3, 5), elements=FINITE), st.sampled_from([1, *ALPHAS]))
def test_properties(z, alpha):
    p = entmax(z, alpha)
    assert (p >= 0).all()
    assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    order = [3, 1, 4, 0, 2]
    assert_allclose(entmax(z[:, order], alpha), p[:, order], rtol=1e-11, atol=1e-300)
    above = z[:, :, None] >= z[:, None, :]
    assert (p[:, :, None] >= p[:, None, :])[above].all()


@given(arrays(np.float64, (4, 6), elements=FINITE), st.sampled_from(ALPHAS))
def test_no_other_point_of_the_simplex_is_better(z, alpha):
    z = np.clip(z - z.max(axis=1, keepdims=True), -1e3, 0)

    def objective(p):
        return (p * z).sum(axis=-1) - (p**alpha).sum(axis=-1) / alpha / (alpha - 1)

    best = objective(entmax(z, alpha))
    others = np.random.default_rng(0).dirichlet(np.full(6, 0.3), size=(50, 4))
    # The entropy is divided by alpha - 1: so is its rounding.
    assert (objective(others) <= best + 1e-13 / (alpha - 1)).all()


@pytest.mark.parametrize("alpha", [1, *ALPHAS])
def test_minus_infinity_is_exactly_zero(alpha):
    z = np.array([[0.3, -np.inf, 0.1], [-np.inf, -np.inf, -5.0]])
    p = entmax(z, alpha)
    assert_array_equal(p == 0, z == -np.inf)
    assert_allclose(p[0, [0, 2]], entmax(z[0, [0, 2]], alpha), rtol=1e-14)
    assert p[1, 2] == 1


@pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
@pytest.mark.parametrize("bad", [np.inf, np.nan, -np.inf])
@pytest.mark.parametrize("row", [0, 9_999])
def test_rows_without_a_finite_maximum(alpha, bad, row):
    z = np.zeros((10_000, 70))
    z[row] = bad
    with pytest.raises(ValueError, match=f"logits must have a finite .*got {bad}"):
        entmax(z, alpha)


def test_one_nan_in_a_row():
    with pytest.raises(ValueError, match="logits must have a finite .*got nan"):
        entmax([[0.0, np.nan, 1.0]])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("alpha", [1, 1.5])
def test_axis(axis, alpha):
    z = np.random.default_rng(0).standard_normal((3, 4, 5))
    before = z.copy()
    p = entmax(z, alpha, axis=axis)
    assert p.shape == z.shape
    assert_allclose(p, np.apply_along_axis(entmax, axis, z, alpha), rtol=1e-14)
    assert_array_equal(z, before)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint64, bool, object])
def test_other_types_become_float64(dtype):
    p = entmax(np.array([1, 0, 1]).astype(dtype))
    assert p.dtype == np.float64
    assert_allclose(p, entmax([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
def test_no_rows(shape):
    assert entmax(np.empty(shape)).shape == shape


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"logits": np.empty((3, 0))}, ValueError, "logits must hold"),
        ({"logits": np.empty((0, 3)), "axis": 0}, ValueError, "logits must hold"),
        ({"logits": 1.0}, ValueError, "logits"),
        ({"logits": "abc"}, ValueError, "logits"),
        ({"logits": None}, ValueError, "logits"),
        ({"logits": [["a", "b"]]}, ValueError, "logits"),
        ({"logits": [[1.0], [1.0, 2.0]]}, ValueError, "logits"),
        ({"logits": [1j, 2.0]}, TypeError, "logits"),
        ({"logits": sparse.csr_array([[1.0]])}, TypeError, "logits"),
        ({"alpha": 0.5}, ValueError, "alpha"),
        ({"alpha": 1.0005}, ValueError, "alpha"),
        ({"alpha": 2.1}, ValueError, "alpha"),
        ({"alpha": np.nan}, ValueError, "alpha"),
        ({"alpha": "1.5"}, ValueError, "alpha"),
        ({"axis": 2}, ValueError, "axis must be .* got 2"),
        ({"axis": 0.0}, ValueError, "axis"),
        ({"axis": None}, ValueError, "axis"),
    ],
)
def test_bad_input(arguments, error, text):
    with pytest.raises(error, match=text):
        entmax(**({"logits": [[0.0, 1.0]]} | arguments))


@pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
def test_same_bytes_for_any_number_of_threads(alpha, dtype):
    z = np.random.default_rng(0).standard_normal((20_000, 64)).astype(dtype)
    expected = entmax(z, alpha).tobytes()
    for n_threads in (1, 3):
        with threadpool_limits(n_threads):
            assert entmax(z, alpha).tobytes() == expected


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2])
def test_against_the_published_package(alpha):
    published = pytest.importorskip("entmax")
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(0).standard_normal((200, 50)) * 2
    maps = {1.5: published.entmax15, 2: published.sparsemax}
    bisect = lambda z: published.entmax_bisect(z, alpha=alpha, n_iter=100)
    expected = maps.get(alpha, bisect)(torch.from_numpy(z)).numpy()
    assert_allclose(entmax(z, alpha), expected, rtol=0, atol=1e-12)
