"""Maps against direct formulas, over scales, ties and memory orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import entr, logsumexp, softmax

from sk_softkmeans import TruncatedKMeans, _assignments
from sk_softkmeans._assignments import (
    Hard,
    Softmax,
    Truncated,
    floors,
    make_assignment,
)
from sk_softkmeans._layouts import Entries, Grid, Lists

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
    "assignment",
    [Hard(), *map(make_assignment, (1, 1.2, 1.5, 2))],
    ids=lambda assignment: f"{getattr(assignment, 'alpha', 'hard')}",
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


TRUNCATED = pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
ORDERS = pytest.mark.parametrize("order", ["C", "F"])


def slow_truncated(z, alpha, n_active, log_shares=None, n_clusters=None):
    """Return responsibilities and value: of the n largest logits alone, and of all K.

    Omega(u) is that of all clusters, whether z has them or not.
    """
    y = z if log_shares is None else z + log_shares[:, np.newaxis]
    first = np.argsort(-y, axis=0, kind="stable")[:n_active]
    active = np.take_along_axis(y, first, axis=0)
    shares, _, _ = respond(make_assignment(alpha), active - active.max(axis=0))
    p = np.zeros_like(z)
    np.put_along_axis(p, first, shares, axis=0)
    uniform = make_assignment(alpha).uniform(n_clusters or len(z))
    value = -(p * y).sum(axis=0) + negentropy(p, alpha) - uniform
    return p, value


@TRUNCATED
@given(
    gaps=arrays(np.float64, (6, 4), elements=GAPS),
    n_active=st.integers(1, 6),
    order=st.sampled_from("CF"),
)
def test_truncated_is_its_definition(alpha, n_active, order, gaps):
    z = np.asarray(shifted(gaps), order=order)
    p, value, _ = respond(Truncated(make_assignment(alpha), n_active), z)
    expected, expected_value = slow_truncated(z, alpha, n_active)
    assert_allclose(p, expected, atol=1e-12)
    assert_allclose(value, expected_value, atol=1e-12)
    assert ((p > 0).sum(axis=0) <= n_active).all()


@pytest.mark.parametrize("n_active", [1, 2, 9, 12, 20])
@ORDERS
def test_shares_are_added_to_logits(n_active, order, dtype, seed):
    rng = np.random.default_rng(seed)
    z = shifted(rng.exponential(3, size=(12, 40)))
    log_shares = rng.normal(size=12)
    expected, expected_value = slow_truncated(z, 1, n_active, log_shares)
    z = np.asarray(z, dtype, order=order)
    assignment = Truncated(Softmax(), n_active, log_shares)
    before, out = z.copy(), np.empty_like(z)
    total, value = assignment.respond(z, out)
    assert_array_equal(z, before)
    atol = 1e-12 if dtype == np.float64 else 1e-5
    assert out.dtype == dtype
    assert_allclose(out / total, expected, atol=atol)
    # Shares that do not sum to 1 can make it negative.
    assert_allclose(value, np.maximum(expected_value, 0), atol=10 * atol)
    with np.errstate(divide="ignore"):
        log = np.log(expected)
    assert_allclose(assignment.log(z, out, total), log, atol=10 * atol)


def test_shares_come_from_masses():
    assignment = Truncated(Softmax(), 2, np.zeros(3))
    assert not assignment.nearest_first
    mass = np.array([1.0, 5.0, 2.0])
    assignment.learn(mass)
    assert_allclose(assignment.shares, mass / 8)
    assert_allclose(np.exp(assignment.log_shares).mean(), 1)
    assignment.learn(np.array([1.0, 0.0, 1.0]))
    assert_allclose(assignment.shares, [0.5, 0, 0.5], atol=1e-300)
    assert np.isfinite(assignment.log_shares).all()


def test_clusters_are_revived_before_shares_are_learned():
    assignment = Truncated(Softmax(), 2, np.zeros(3))
    mass, empty = np.array([1.0, 0.0, 3.0]), np.array([1])
    assignment.begin()
    for _ in range(2):
        assert_array_equal(assignment.revive(empty), empty)
        # They get a share when all clusters have something.
        assignment.learn(mass)
        assert_array_equal(assignment.log_shares, 0)
    assert_array_equal(assignment.revive(empty[:0]), [])
    assignment.learn(mass)
    assert_allclose(assignment.shares, mass / 4, atol=1e-300)
    assert_array_equal(assignment.revive(empty), [])
    assignment.begin()
    assert_array_equal(assignment.revive(empty), empty)


@TRUNCATED
@pytest.mark.parametrize("n_active", [6, 7])
@ORDERS
def test_all_active_is_the_full_map(alpha, n_active, order, dtype):
    z = shifted(np.random.default_rng(0).exponential(size=(6, 9)))
    z, full = np.asarray(z, dtype, order=order), make_assignment(alpha)
    expected = respond(full, z)
    for result, same in zip(
        respond(Truncated(full, n_active), z), expected, strict=True
    ):
        assert_array_equal(result, same)


@TRUNCATED
@pytest.mark.parametrize("n_active", [1, 3, 5])
@ORDERS
def test_truncated_lists_are_of_all_clusters(alpha, n_active, order, dtype):
    # Five candidates of 70 clusters.
    z = shifted(np.random.default_rng(0).exponential(size=(5, 9)))
    expected, expected_value = slow_truncated(z, alpha, n_active, n_clusters=70)
    z = np.asarray(z, dtype, order=order)
    lists = np.array([np.arange(5), np.arange(9, 14), np.arange(65, 70)])
    p, assignment = np.empty_like(z), Truncated(make_assignment(alpha), n_active)
    total, value = assignment.respond(z, p, Lists(lists, 3, 70))
    atol = 1e-12 if dtype == np.float64 else 2e-6
    assert_allclose(p / total, expected, atol=atol)
    assert_allclose(value, expected_value, atol=atol)
    assert assignment.uniform(70) == make_assignment(alpha).uniform(70)


@TRUNCATED
def test_maps_of_some_clusters_know_of_all(alpha, dtype):
    # Evenly shared between 3 of 50: -Omega(u) is that of 50, Omega(p) that of 3.
    assignment, z = make_assignment(alpha), np.zeros((3, 2), dtype)
    out = np.empty_like(z)
    total, value = assignment.respond(z, out, Grid(50, 3))
    assert_allclose(out / total, 1 / 3, rtol=1e-6)
    expected = assignment.uniform(3) - assignment.uniform(50)
    assert_allclose(value, expected, rtol=1e-5)


@TRUNCATED
@pytest.mark.parametrize("n_clusters", [2, 5000])
def test_beyond_the_margin_nothing_is_left(alpha, n_clusters, dtype):
    assignment = make_assignment(alpha)
    margin = assignment.margin(n_clusters, dtype)
    z = np.full((n_clusters, 1), -margin, dtype)
    z[0] = 0
    p, _, _ = respond(assignment, z)
    assert p[1:].sum() <= np.finfo(dtype).eps
    assert Truncated(assignment, 2).margin(n_clusters, dtype) == np.inf


MAPS_WITH_TAILS = [Softmax(), make_assignment(1.001), make_assignment(1.1)]


@pytest.mark.parametrize("assignment", MAPS_WITH_TAILS, ids=lambda a: f"{a.alpha}")
@pytest.mark.parametrize(
    ("dtype", "weight"),
    [
        *((np.float32, weight) for weight in (1.0, 1e-10, 0.0)),
        *((np.float64, weight) for weight in (1.0, 1e-10, 1e-180, 1e120, 0.0)),
    ],
)
def test_what_is_multiplied_is_0_or_far_from_subnormal(assignment, weight, dtype):
    z = -np.linspace(0, 800, 3000).reshape(3, -1).T.astype(dtype) / assignment.alpha
    z[0] = 0
    weights = np.full(3, weight)
    out, info = np.empty_like(z), np.finfo(dtype)
    floor = floors(weights, z.dtype)
    total, _ = assignment.respond(z.copy(), out, floor=floor)
    shares = out * (weights / total).astype(dtype)
    for array in (out, shares, shares * dtype(1e-9)):
        # But for what is just above the floor.
        assert ((array > 0) & (array < info.tiny)).mean() < 0.005
    # All that matters is there.
    kept = out > 0
    assert kept[0].all()
    least = {np.float32: 1e-28, np.float64: 1e-278}[dtype]
    lost = np.exp(z.astype(float))[~kept] if assignment.alpha == 1 else np.zeros(1)
    assert (lost * weight <= 1.001 * max(least, weight * np.exp(-40))).all()


def test_one_weight_seen_as_many_has_the_floors_of_an_array(dtype):
    dtype = np.dtype(dtype)
    seen = floors(np.broadcast_to(1.0, 5), dtype)
    assert_array_equal(seen, floors(np.ones(5), dtype))
    assert seen.dtype == dtype


def test_logarithms_and_values_keep_their_tails(dtype):
    z = np.array([[0.0], [-500], [-5000]], dtype)
    for assignment in (Softmax(), Truncated(Softmax(), 2)):
        out = np.empty_like(z)
        total, value = assignment.respond(z.copy(), out)
        logs = assignment.log(z, out, total)
        assert_allclose(logs[:2, 0], [0, -500])
        assert_allclose(value, np.log(3))
    assert_array_equal(logs[2], -np.inf)


@pytest.mark.parametrize("alpha", [1, 1.001, 1.5])
@pytest.mark.parametrize("n_active", [2, 3])
def test_a_fit_with_weights_of_a_wide_range(alpha, n_active):
    # Each cluster has samples of one weight only: means that no other can disturb.
    rng = np.random.default_rng(0)
    places = np.array([[0, 0], [30, 0], [0, 30]])
    X = np.repeat(places, 20, axis=0) + rng.normal(size=(60, 2)) / 100
    weights = np.repeat([1.0, 1e-150, 1e-300], 20)
    model = TruncatedKMeans(3, n_active=n_active, alpha=alpha, temperature=1.0)
    model.set_params(init=places).fit(X, sample_weight=weights)
    expected = X.reshape(3, 20, 2).mean(axis=1)
    assert_allclose(model.cluster_centers_, expected, rtol=1e-12)
    assert model.n_iter_ < 5
