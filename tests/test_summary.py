"""What is printed of a clustering, worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import SoftKMeans
from sk_softkmeans._summary import (
    apart_lines,
    cluster_lines,
    model_lines,
    table_line,
)
from sk_softkmeans._tables import Table

# The mean is (5, 3), the standard deviations are the root of 17 and 2.
X = np.array([[0, 1], [2, 1], [8, 5], [10, 5.0]])
HEADING = "set apart by (standard deviations from the mean of all rows)"


def pipeline(*centers):
    """Return what a fitted pipeline tells of its centers."""
    return [SimpleNamespace(cluster_centers_=np.array(centers))]


@pytest.fixture
def hard():
    """Return a fit at temperature 0, with centers (1, 1) and (9, 5)."""
    return make_pipeline(SoftKMeans(2, temperature=0, init=X[[0, 3]], n_init=1)).fit(X)


@pytest.mark.parametrize(
    ("shape", "left_out", "expected"),
    [
        ((4, 2), [], "d.csv: 4 rows, 2 columns"),
        ((1, 1), [], "d.csv: 1 row, 1 column"),
        ((2, 1), ["id", "b"], "d.csv: 2 rows, 1 column (left out: id, b)"),
    ],
)
def test_line_of_the_table(shape, left_out, expected):
    table = Table(np.ones(shape), ["a", "c"][: shape[1]], left_out)
    assert table_line("d.csv", table) == expected


def test_lines_of_the_model(hard):
    # Of the two halves of a mixture of variance 4 / (4 * 2) the other one is far away:
    # each sample, at distance 1, has the density exp(-1) / (2 pi / 2) / 2, of which
    # the logarithm is -1 - log(2 pi).
    assert model_lines(hard, X, 0.125) == [
        "temperature          0  squared units of the columns",
        "log-density     -2.838  nats, mean over rows",
        "free energy          4  squared units of the columns, sum over rows",
        "iterations           2",
        "seconds          0.125  of the fit",
    ]


def test_lines_of_a_model_behind_a_scaler():
    Z = (X - [5, 3]) / [17**0.5, 2]
    soft = SoftKMeans(2, temperature=0, init=Z[[0, 3]], n_init=1)
    lines = model_lines(make_pipeline(StandardScaler(), soft).fit(X), X, 0)
    # 4 / 17.
    assert lines[2] == (
        "free energy     0.2353  squared units of the scaled columns, sum over rows"
    )
    assert lines[0].endswith("squared units of the scaled columns")


def test_lines_of_clusters():
    labels = np.array([2, 0, 2, 2, 0])
    certainties = np.array([0.5, 1, 0.75, 1, 0.9994])
    assert cluster_lines(pipeline([0.0], [1.0], [2.0]), labels, certainties) == [
        "cluster      size  certainty",
        "      0         2      1.000",
        "      1         0          -",
        "      2         3      0.750",
    ]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_what_sets_clusters_apart(scaled, container):
    # 4 of 17**.5 are .97, and 2 of 2 are 1.
    scaler = [StandardScaler()] if scaled else []
    init = np.array([[-1.0, -1], [1, 1]]) if scaled else X[[0, 3]]
    soft = SoftKMeans(2, temperature=0, init=init, n_init=1)
    model = make_pipeline(*scaler, soft).fit(X)
    assert apart_lines(model, container(X), ["a", "b"]) == [
        HEADING,
        "b -1.00, a -0.97",
        "b +1.00, a +0.97",
    ]


def test_at_most_three_features_and_no_equal_ones():
    # Of mean 0 and variance 1.
    columns = np.array([[1.0] * 5, [-1] * 5])
    model = pipeline([0.1, -0.4, 0.3, 0.2, 0], [0.006, 0.004, 0, 0, -0.004], [0] * 5)
    assert apart_lines(model, columns, list("abcde")) == [
        HEADING,
        "b -0.40, c +0.30, d +0.20",
        "a +0.01",
        "",
    ]


def test_features_that_are_constant_set_nothing_apart():
    model = make_pipeline(SoftKMeans(1)).fit(np.full((3, 2), 0.1))
    assert apart_lines(model, np.full((3, 2), 0.1), ["a", "b"]) == [HEADING, ""]
