"""Maps against direct formulas, over scales, ties and memory orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import entr, logsumexp, softmax

from sk_softkmeans import _assignments
from sk_softkmeans._assignments import Hard, Softmax

# Gaps to the largest logit, over the temperature: none to far beyond underflow.
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


@given(arrays(np.float64, (5, 2), elements=GAPS))
def test_softmax_value_is_the_least_free_energy(gaps):
    # value = min over p of <p, -z> + Omega(p) - Omega(u): reached at the returned p,
    # and no other point of the simplex is lower.
    z = shifted(gaps)
    p, value, _ = respond(Softmax(), z)

    def free_energy(q):
        return -(q * z).sum(axis=0) - entr(q).sum(axis=0) - Softmax().uniform(5)

    assert_allclose(value, free_energy(p), atol=1e-12)
    others = np.random.default_rng(0).dirichlet(np.ones(5), size=(20, 2))
    for other in others:
        assert (free_energy(other.T) >= value - 1e-12).all()
    assert (value >= 0).all()
    assert (value <= -Softmax().uniform(5)).all()


def test_softmax_value_has_no_cancellation_at_a_huge_temperature():
    gaps = np.array([[0.0, 0.0], [1.0, 3.0], [2.0, 6.0]])
    temperature = 1e300
    _, value, _ = respond(Softmax(), -gaps / temperature)
    assert_allclose(value * temperature, gaps.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("assignment", [Softmax(), Hard()])
@pytest.mark.parametrize("order", ["C", "F"])
def test_maps_do_not_depend_on_memory_order(assignment, order, dtype):
    z = shifted(np.random.default_rng(0).exponential(size=(6, 9))).astype(dtype)
    p, value, _ = respond(assignment, np.asarray(z, order=order))
    expected, expected_value, _ = respond(assignment, z.astype(np.float64))
    assert p.dtype == value.dtype == dtype
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
