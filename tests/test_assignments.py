"""Maps against direct formulas, over scales, ties and memory orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import entr, logsumexp, softmax

from sk_softkmeans import _assignments
from sk_softkmeans._assignments import Hard, Softmax, make_assignment
from sk_softkmeans._layouts import Entries

# Gaps to the largest logit, over the temperature: none to far beyond underflow.
ALPHAS = pytest.mark.parametrize("alpha", [1, 1.001, 1.2, 1.5, 1.9, 2])
GAPS = st.one_of(st.just(0.0), st.floats(1e-300, 1e-8), st.floats(1e-3, 1e4))


def shifted(gaps):
    """Return logits with a largest one of 0 in each column."""
    z = -np.asarray(gaps)
    return z - z.max(axis=0)


def respond(assignment, z):
    out = np.empty_like(z)
    total, value = assignment.respond(z.copy(), out)
    return out / total, value, total


@given(arrays(np.float64, (4, 3), elements=GAPS))
def test_softmax_is_the_direct_formula(gaps):
    z = shifted(gaps)
    p, value, total = respond(Softmax(), z)
    assert_allclose(p, softmax(z, axis=0), rtol=1e-12, atol=1e-300)
    assert_allclose(value, np.log(4) - logsumexp(z, axis=0), atol=1e-14)
    assert_allclose(Softmax().log(z, p, total), z - logsumexp(z, axis=0), atol=1e-12)


def negentropy(p, alpha):
    """Return Omega(p) of each column by its definition."""
    if alpha == 1:
        return -entr(p).sum(axis=0)
    return ((p**alpha).sum(axis=0) - 1) / (alpha * (alpha - 1))


@ALPHAS
@pytest.mark.parametrize("n_clusters", [1, 2, 7, 5000])
def test_uniform_by_definition(n_clusters, alpha):
    uniform = np.full(n_clusters, 1 / n_clusters)
    result = make_assignment(alpha).uniform(n_clusters)
    assert_allclose(result, negentropy(uniform, alpha), atol=1e-11)


@ALPHAS
@given(arrays(np.float64, (5, 2), elements=GAPS))
def test_value_is_the_least_free_energy(alpha, gaps):
    # value = min over p of <p, -z> + Omega(p) - Omega(u): reached at the returned p,
    # and no other point of the simplex is lower.
    z, assignment = shifted(gaps), make_assignment(alpha)
    p, value, _ = respond(assignment, z)

    def free_energy(q):
        return -(q * z).sum(axis=0) + negentropy(q, alpha) - assignment.uniform(5)

    # Omega by its definition has the rounding of 1 / (alpha - 1).
    atol = 1e-12 if alpha in (1, 1.5, 2) else 1e-15 / (alpha - 1)
    assert_allclose(value, free_energy(p), atol=atol)
    others = np.random.default_rng(0).dirichlet(np.ones(5), size=(20, 2))
    for other in others:
        assert (free_energy(other.T) >= value - atol).all()
    assert (value >= 0).all()
    assert (value <= -assignment.uniform(5) + atol).all()


@ALPHAS
def test_value_has_no_cancellation_at_a_huge_temperature(alpha):
    gaps = np.array([[0.0, 0.0], [1.0, 3.0], [2.0, 6.0]])
    temperature = 1e300
    _, value, _ = respond(make_assignment(alpha), -gaps / temperature)
    assert_allclose(value * temperature, gaps.mean(axis=0), rtol=1e-12)


@ALPHAS
def test_both_ways_to_respond_agree_where_one_ends(alpha, dtype):
    # Rows that are nearly uniform are computed in another way, down to some logit.
    limit = 0.5 * 4 ** (1 - alpha) if alpha > 1 else 1.0
    results = []
    for factor in (1 - 1e-6, 1 + 1e-6):
        z = -limit * factor * np.array([[0.0], [0.2], [0.9], [1.0]])
        results.append(respond(make_assignment(alpha), z.astype(dtype))[:2])
    for before, after in zip(*results, strict=True):
        assert_allclose(before, after, atol=3e-6)


@pytest.mark.parametrize("alpha", [1.05, 1.2, 1.5, 1.9, 2])
def test_a_list_of_what_counts_gives_the_same(alpha, dtype):
    gaps = np.random.default_rng(0).exponential(3, size=(6, 50)) / (alpha - 1)
    z, assignment = shifted(gaps).astype(dtype), make_assignment(alpha)
    expected, expected_value, _ = respond(assignment, z)
    listed = z > -1.5 * assignment.reach
    indptr = np.append(0, listed.sum(axis=1).cumsum())
    layout = Entries(np.nonzero(listed)[1], indptr, z.shape[1])
    p = np.empty(listed.sum(), dtype)
    total, value = assignment.respond(z[listed], p, layout)
    eps = np.finfo(dtype).eps
    assert_allclose(p / total[layout.rows], expected[listed], atol=20 * eps)
    assert_allclose(value, expected_value, atol=20 * eps / (alpha - 1))


@pytest.mark.parametrize("alpha", [1.001, 1.2, 1.5, 1.9, 1.999, 2])
@pytest.mark.parametrize("scale", [0.003, 0.03, 0.3, 3.0, 30.0])
@pytest.mark.parametrize("power", [1, 3])
def test_newton_ends_before_its_limit(alpha, scale, power, monkeypatch):
    z = shifted(scale * np.random.default_rng(0).standard_normal((6400, 50)) ** power)
    expected = respond(make_assignment(alpha), z)
    monkeypatch.setattr(_assignments, "_MAX_STEPS", 15)
    for result, same in zip(respond(make_assignment(alpha), z), expected, strict=True):
        assert_array_equal(result, same)


@ALPHAS
def test_logarithms(alpha, dtype):
    z = shifted(np.random.default_rng(0).exponential(5, size=(6, 9))).astype(dtype)
    assignment, p = make_assignment(alpha), np.empty_like(z)
    total, _ = assignment.respond(z.copy(), p)
    with np.errstate(divide="ignore"):
        expected = np.log(p / total)
    assert_allclose(assignment.log(z, p, total), expected, atol=1e-5)


@pytest.mark.parametrize(
    "assignment", [Hard(), *map(make_assignment, (1, 1.2, 1.5, 2))], ids=repr
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_maps_do_not_depend_on_memory_order(assignment, order, dtype):
    z = shifted(np.random.default_rng(0).exponential(size=(6, 9))).astype(dtype)
    p, value, _ = respond(assignment, np.asarray(z, order=order))
    expected, expected_value, _ = respond(assignment, z.astype(np.float64))
    assert p.dtype == dtype
    assert_allclose(p, expected, atol=1e-6)
    assert_allclose(value, expected_value, atol=1e-6)


def test_softmax_may_overwrite_its_logits():
    z = shifted(np.random.default_rng(0).exponential(size=(6, 9)))
    expected, _, _ = respond(Softmax(), z)
    total, _ = Softmax().respond(z, z)
    assert_array_equal(z / total, expected)


def test_hard_takes_the_first_of_equal_logits():
    z = np.array([[-1.0, 0.0], [0.0, 0.0], [0.0, -2.0]])
    p, value, total = respond(Hard(), z)
    assert_array_equal(p, [[0, 1], [1, 0], [0, 0]])
    assert_array_equal(value, [0, 0])
    with np.errstate(divide="ignore"):
        assert_array_equal(Hard().log(z, p, total), np.log(p))


@pytest.mark.parametrize("vectorised", [False, True])
def test_both_ways_to_exp_agree(vectorised, dtype, monkeypatch):
    monkeypatch.setattr(_assignments, "_exp2_is_vectorised", lambda: vectorised)
    z = shifted(np.random.default_rng(0).exponential(10, size=(6, 500))).astype(dtype)
    p, value, _ = respond(Softmax(), z)
    eps = np.finfo(dtype).eps
    exact = softmax(z.astype(np.float64), axis=0)
    # An exponent of 100 may be off by 100 eps.
    assert_allclose(p, exact, rtol=200 * eps)
    expected = np.log(6) - logsumexp(z.astype(np.float64), axis=0)
    assert_allclose(value, expected, atol=10 * eps)
