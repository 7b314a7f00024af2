"""The command `softkmeans` on files: what it prints and writes, and how it fails."""

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import __version__
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    MaxEntropyKMeans,
    SoftKMeans,
    TruncatedKMeans,
    __main__,
    _comparison,
    _outputs,
    critical_temperature,
)
from sk_softkmeans.__main__ import main

WITH_CALLBACKS = parse_version(__version__) >= parse_version("1.9")
MODULE = [sys.executable, "-W", "error", "-m", "sk_softkmeans"]
SCRIPT = [str(Path(sys.executable).with_name("softkmeans"))]
NAMES = ["width", "length", "height"]
TRUST = (
    "softkmeans: model files run code when they are loaded: "
    "load only those that you trust\n"
)
# The bar of a child appears at once.
IMPATIENT = """
import sys
from functools import partial
from sk_softkmeans import __main__, _progress
_progress.Bar = partial(_progress.Bar, patience=0)
sys.exit(__main__.main(sys.argv[1:]))
"""


def run(*args, cwd, command=MODULE, **options):
    """Run a process, and return it when it is done."""
    options = {"capture_output": True, "text": True, "check": False} | options
    # What is printed waits in a buffer until the end.
    options.setdefault("env", os.environ | {"PYTHONUNBUFFERED": ""})
    return subprocess.run([*command, *map(str, args)], cwd=cwd, **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    """Return the bytes of all files in a folder."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def without_seconds(text):
    assert re.search(r"^seconds +[\d.e-]+  of the fit$", text, re.MULTILINE)
    return re.sub(r"(?m)^seconds .*\n", "", text)


def read_memberships(path):
    """Return labels and memberships of a file, whose rows must be in order."""
    with open(path) as file:
        columns = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",", ndmin=2)
    n_clusters = len(columns) - 2
    assert columns == ["row", "label", *(f"membership_{k}" for k in range(n_clusters))]
    assert_array_equal(table[:, 0], range(len(table)))
    return table[:, 1].astype(int), table[:, 2:]


def assert_one_error(code, out, err, message):
    assert code == 2
    assert out == ""
    assert err.startswith("softkmeans: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert message in err


@pytest.fixture(scope="session")
def frame():
    """Return three clusters in three columns of very different scale, and names."""
    X, y = make_blobs(90, 3, centers=3, cluster_std=2.0, random_state=0)
    frame = pd.DataFrame(X * [1, 10, 100], columns=NAMES)
    frame.insert(1, "kind", np.array(["a", "b", "c"])[y])
    return frame


@pytest.fixture(scope="session")
def X(frame):
    return frame[NAMES]


@pytest.fixture
def folder(tmp_path, frame, X, monkeypatch):
    """Return a folder with data, which is the working one."""
    X.to_csv(tmp_path / "data.csv", index=False)
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    np.save(tmp_path / "data.npy", X.to_numpy())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(folder, capsys):
    """Return what runs the command in process: code, standard output and error."""

    def call(*args):
        code = main(list(map(str, args)))
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def fitted(command):
    """Return what runs the command, and gives what it printed, wrote and saved."""

    def call(*args):
        code, out, err = command(*args, "--output", "m.csv", "--save", "m.joblib")
        assert (code, err) == (0, "")
        return out, *read_memberships("m.csv"), joblib.load("m.joblib")

    return call


def assert_is_fit(expected, X, labels, memberships, model):
    """Assert that memberships and a loaded model are those of an estimator."""
    if isinstance(X, pd.DataFrame):
        # The last bits of a scaler depend on the layout.
        rows = np.ascontiguousarray(X)
        X = pd.DataFrame(rows, columns=X.columns, copy=False)
    expected.fit(X)
    assert_array_equal(labels, expected.predict(X))
    P = expected.predict_proba(X)
    assert_array_equal(memberships, P.toarray() if hasattr(P, "toarray") else P)
    assert_array_equal(model.predict(X), labels)
    loaded, fitted = model[-1], expected[-1]
    assert type(loaded) is type(fitted)
    assert_array_equal(loaded.cluster_centers_, fitted.cluster_centers_)
    assert loaded.temperature_ == fitted.temperature_


# Processes.


@pytest.fixture(scope="module")
def done(tmp_path_factory, frame):
    """Return a folder and a process that has written all outputs there."""
    folder = tmp_path_factory.mktemp("done")
    frame.to_csv(folder / "mixed.csv", index=False)
    return folder, run(*ALL, cwd=folder, env=os.environ | {"PYTHONHASHSEED": "0"})


OUTPUTS = ["--output", "m.csv", "--save", "m.joblib", "--plot", "p.png"]
ALL = ["mixed.csv", "--n-clusters", 3, "--columns", "height,width", "--scale", *OUTPUTS]


def test_process(done, frame):
    folder, process = done
    assert (process.returncode, process.stderr) == (0, "")
    assert names(folder) == ["m.csv", "m.joblib", "mixed.csv", "p.png"]
    X = frame[["height", "width"]]
    model = make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0))
    saved = joblib.load(folder / "m.joblib")
    assert_is_fit(model, X, *read_memberships(folder / "m.csv"), saved)
    assert list(saved.feature_names_in_) == ["height", "width"]
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_process_prints(done, frame):
    folder, process = done
    first, clusters, numbers = process.stdout.split("\n\n")
    assert first == "mixed.csv: 90 rows, 2 columns (left out: kind, length)"
    heading, *lines = clusters.splitlines()
    assert heading == (
        "cluster      size  certainty  "
        "set apart by (standard deviations from the mean of all rows)"
    )
    labels, memberships = read_memberships(folder / "m.csv")
    certainties = memberships.max(axis=1)
    centers = joblib.load(folder / "m.joblib")[-1].cluster_centers_
    for k, line in enumerate(lines):
        cluster, size, certainty, apart = re.split(" +", line.strip(), maxsplit=3)
        assert (int(cluster), int(size)) == (k, (labels == k).sum())
        assert float(certainty) == pytest.approx(
            certainties[labels == k].mean(), abs=5e-4
        )
        differences = dict(part.rsplit(" ", 1) for part in apart.split(", "))
        for name, center in zip(["height", "width"], centers[k], strict=True):
            assert float(differences[name]) == pytest.approx(center, abs=5e-3)
    assert len(lines) == 3
    assert [line.split("  ")[0].strip() for line in numbers.splitlines()] == [
        "temperature",
        "log-density",
        "free energy",
        "iterations",
        "seconds",
    ]


def test_the_same_again_by_the_script(done, frame, tmp_path):
    command = SCRIPT if Path(*SCRIPT).exists() else MODULE
    before, process = done
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    # The order of sets is another one.
    env = os.environ | {"PYTHONHASHSEED": "1"}
    again = run(*ALL, cwd=tmp_path, command=command, env=env)
    assert (again.returncode, again.stderr) == (0, "")
    assert without_seconds(again.stdout) == without_seconds(process.stdout)
    assert contents(tmp_path) == contents(before)


def test_process_that_applies_a_model(done, frame, tmp_path):
    folder, _ = done
    # Columns in another order, and others among them.
    frame[["width", "length", "height", "kind"]].to_csv(
        tmp_path / "new.csv", index=False
    )
    process = run("predict", folder / "m.joblib", "new.csv", cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, TRUST)
    assert process.stdout == (folder / "m.csv").read_text()
    assert names(tmp_path) == ["new.csv"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing.csv"], "nothing.csv: No such file or directory"),
        (["latin.csv"], "latin.csv is not a text in UTF-8"),
    ],
)
def test_process_that_fails(folder, args, message):
    (folder / "latin.csv").write_text("größe,b\n1,2\n", "latin-1")
    before = contents(folder)
    process = run(*args, cwd=folder)
    assert_one_error(process.returncode, process.stdout, process.stderr, message)
    assert contents(folder) == before


def test_who_reads_has_enough(tmp_path):
    # More than a pipe holds.
    np.save(tmp_path / "data.npy", np.arange(40_000.0).reshape(-1, 1))
    model = make_pipeline(SoftKMeans(2, init=np.array([[1e4], [3e4]])))
    joblib.dump(model.fit(np.load(tmp_path / "data.npy")), tmp_path / "m.joblib")
    with subprocess.Popen(
        [*MODULE, "predict", "m.joblib", "data.npy"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().startswith("row,label,")
        process.stdout.close()
        assert process.stderr.read() == TRUST
    assert process.returncode == 1


def test_nobody_reads(folder):
    ours, theirs = os.pipe()
    os.close(ours)
    process = run(
        *("data.npy", "--n-clusters", 3, "--save", "m.joblib"),
        cwd=folder,
        capture_output=False,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    assert (process.returncode, process.stderr) == (1, "")
    assert joblib.load("m.joblib")[-1].n_clusters == 3


def test_a_full_disk(folder):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        process = run(
            *("data.npy", "--n-clusters", 3, "--save", "m.joblib"),
            cwd=folder,
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert process.returncode == 2
    assert process.stderr == "softkmeans: error: No space left on device\n"


@pytest.mark.parametrize("path", ["/dev/stdout", "log"])
@pytest.mark.parametrize("old", ["", "of before\n"], ids=["new", "old"])
def test_a_log_is_not_replaced(command, folder, path, old):
    if not Path(path).exists() and path != "log":
        pytest.skip(f"there is no {path}")
    options = ["data.npy", "--n-clusters", 3]
    _, summary, _ = command(*options, "--save", "m.joblib")
    Path("log").write_text(old)
    with open("log", "ab" if old else "wb") as log:
        process = run(
            *(*options, "--save", path),
            cwd=folder,
            capture_output=False,
            stdout=log,
            stderr=subprocess.PIPE,
        )
    assert (process.returncode, process.stderr) == (0, "")
    before, number, after = Path("log").read_bytes().partition(b"\nseconds")
    expected = summary.partition("\nseconds")[0].encode()
    assert before == old.encode() + Path("m.joblib").read_bytes() + expected
    assert number
    assert after.endswith(b"of the fit\n")


@pytest.mark.parametrize(
    ("option", "file", "path"),
    [
        ("--output", "m.csv", "/dev/stdout"),
        ("--save", "m.joblib", "/dev/fd/1"),
        ("--plot", "p.png", "link.png"),
        ("--plot", "p.svg", "link.svg"),
    ],
)
def test_every_output_into_a_pipe(command, folder, option, file, path):
    if path.startswith("link"):
        Path(path).symlink_to("/dev/stdout")
    options = ["data.npy", "--n-clusters", 3, "--quiet"]
    assert command(*options, option, file) == (0, "", "")
    process = run(*options, option, path, cwd=folder, text=False)
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout == Path(file).read_bytes()


def test_memberships_of_new_rows_into_a_pipe(done, folder):
    process = run(
        *("predict", done[0] / "m.joblib", "mixed.csv"),
        *("--output", "/dev/stdout", "--quiet"),
        cwd=folder,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == (done[0] / "m.csv").read_text()


def test_what_a_killed_run_left(folder):
    line = """
import os, signal, sys
from sk_softkmeans import __main__
__main__.draw = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
__main__.main(sys.argv[1:])
"""
    args = ["data.npy", "--n-clusters", 3, *OUTPUTS]
    before = names(folder)
    assert run(*args, cwd=folder, command=[sys.executable, "-c", line]).returncode < 0
    assert len(names(folder)) == len(before) + 3
    assert run(*args, cwd=folder).returncode == 0
    assert names(folder) == sorted([*before, "m.csv", "m.joblib", "p.png"])


def test_letters_that_the_terminal_does_not_know(tmp_path):
    pd.DataFrame({"größe": [0.5, 1, 9]}).to_csv(tmp_path / "maß.csv", index=False)
    process = run(
        *("maß.csv", "--n-clusters", 2),
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith(r"ma\xdf.csv: 3 rows, 1 column")
    assert r"  gr\xf6\xdfe +" in process.stdout


def test_memory_and_everything_at_once(tmp_path):
    pytest.importorskip("resource", reason="memory is not measured")
    n_rows, columns = 200_000, [f"x{j}" for j in range(10)]
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=n_rows)
    X = 3 * labels[:, np.newaxis] + rng.normal(size=(n_rows, len(columns))).round(4)
    header = ",".join(["kind", *columns])
    lines = (
        f"kind {k},{','.join(map(repr, row))}\n"
        for k, row in zip(labels.tolist(), X.tolist(), strict=True)
    )
    with open(tmp_path / "data.csv", "w") as file:
        file.write(f"{header}\n")
        file.writelines(lines)
    options = ["--scale", "--n-clusters", 5, "--columns", ",".join(columns)]
    # The peak of a child is at first that of its parent: here of a small one.
    measure = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    process = run(
        *(*MODULE, "data.csv", *options, *OUTPUTS),
        cwd=tmp_path,
        command=[sys.executable, "-c", measure],
    )
    assert (process.returncode, process.stderr) == (0, "")
    *summary, peak = process.stdout.splitlines()
    kilobytes = int(peak) / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 500_000
    assert summary[0] == "data.csv: 200000 rows, 10 columns (left out: kind)"
    assert names(tmp_path) == ["data.csv", "m.csv", "m.joblib", "p.png"]
    found, memberships = read_memberships(tmp_path / "m.csv")
    model = joblib.load(tmp_path / "m.joblib")
    frame = pd.DataFrame(X, columns=columns)
    assert_array_equal(found, model.predict(frame))
    # The bits may depend on the number of rows at a time.
    assert_allclose(memberships, model.predict_proba(frame), rtol=0, atol=1e-12)


@pytest.fixture
def at_terminal(folder):
    """Return what runs a child of which standard error is a terminal."""
    pty = pytest.importorskip("pty", reason="there are no terminals")

    def call(*args):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", IMPATIENT, *map(str, args)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"},
        ) as process:
            os.close(theirs)
            seen = b""
            try:
                while part := os.read(ours, 2**16):
                    seen += part
            except OSError as error:
                # The end, on Linux.
                if error.errno != errno.EIO:
                    raise
            out = process.stdout.read().decode()
        os.close(ours)
        return process.returncode, out, seen.decode()

    return call


def test_bar_on_a_terminal(at_terminal, folder):
    # No markup.
    Path("data.csv").rename("[red].csv")
    args = ["[red].csv", "--n-clusters", 3, "--output", "m.csv"]
    code, out, seen = at_terminal(*args)
    assert code == 0
    n_iter = re.search(r"^iterations +(\d+)$", out, re.MULTILINE).group(1)
    fitting = f"Fitting, iteration {n_iter} " if WITH_CALLBACKS else "Fitting "
    for work in ("Reading [red].csv ", fitting, "Memberships "):
        assert work in seen
    # The lines of the bar are removed, and the cursor is seen again.
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1
    assert seen.endswith("\x1b[2K")
    assert out.startswith("[red].csv: 90 rows, 3 columns\n")
    assert "\x1b" not in out
    assert len(read_memberships(folder / "m.csv")[0]) == 90


def test_a_bar_leaves_memberships_that_are_printed_alone(at_terminal, done, folder):
    code, out, seen = at_terminal("predict", done[0] / "m.joblib", "mixed.csv")
    assert code == 0
    assert seen.startswith(TRUST.replace("\n", "\r\n"))
    assert "Memberships" in seen
    assert out == (done[0] / "m.csv").read_text()


def test_no_bar_on_a_pipe(folder):
    command = [sys.executable, "-W", "error", "-c", IMPATIENT]
    process = run("data.csv", "--n-clusters", 3, cwd=folder, command=command)
    assert (process.returncode, process.stderr) == (0, "")


# In process.


ESTIMATORS = {
    "soft": SoftKMeans,
    "entmax": EntmaxKMeans,
    "annealed": AnnealedRBFKMeans,
    "truncated": TruncatedKMeans,
    "maxent": MaxEntropyKMeans,
}


# Three clusters leave more than a fifth of the variance of scaled columns, for maxent.
@pytest.mark.filterwarnings("ignore:distortion=.* was not reached")
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("file", ["data.csv", "data.npy"])
def test_every_estimator(fitted, X, file, name, scale):
    X = X if file == "data.csv" else X.to_numpy()
    options = ["--scale"] if scale else []
    _, *found = fitted(file, "--estimator", name, "--n-clusters", 3, *options)
    scaler = [StandardScaler()] if scale else []
    estimator = ESTIMATORS[name](3, random_state=0)
    assert_is_fit(make_pipeline(*scaler, estimator), X, *found)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".npy", ".npz", ".parquet"])
def test_every_format(fitted, X, folder, suffix):
    file = f"copy{suffix}"
    if suffix in (".csv", ".tsv"):
        X.to_csv(file, index=False, sep="," if suffix == ".csv" else "\t")
    elif suffix == ".parquet":
        X.to_parquet(file)
    else:
        X = X.to_numpy()
        (np.save if suffix == ".npy" else np.savez)(file, X)
    out, *found = fitted(file, "--n-clusters", 3)
    assert out.startswith(f"{file}: 90 rows, 3 columns\n")
    assert_is_fit(make_pipeline(SoftKMeans(3, random_state=0)), X, *found)


@pytest.mark.parametrize("scale", [[], ["--scale"]], ids=["raw", "scaled"])
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("?", 0, 1), ("i1", -128, 127), ("u1", 0, 255), (">i2", -(2**15), 2**15 - 1)]
    + [("f2", -60_000, 60_000), ("u8", 0, 2**63)],
)
def test_arithmetic_is_not_that_of_the_file(command, folder, dtype, low, high, scale):
    X = np.tile([[low, high], [high, low]], (20, 1)).astype(dtype)
    X[:3, 0] = low
    np.save("small.npy", X)
    np.save("wide.npy", X.astype(float))
    texts = []
    for name in ("small", "wide"):
        files = ["--save", "m.joblib", "--output", "m.csv", "--plot", "p.png"]
        code, out, err = command(f"{name}.npy", "--n-clusters", 2, *files, *scale)
        assert (code, err) == (0, "")
        predicted = command("predict", "m.joblib", f"{name}.npy", "--quiet")
        texts.append((without_seconds(out).split("\n", 1)[1], predicted))
    assert texts[0] == texts[1]
    assert "x0 +" in texts[0][0]


@pytest.mark.parametrize("order", [NAMES[::-1], ["length", "width"], ["height"]])
def test_columns(fitted, X, order):
    out, *found = fitted("mixed.csv", "--columns", ",".join(order), "--n-clusters", 3)
    others = [
        name for name in ["width", "kind", "length", "height"] if name not in order
    ]
    assert f" (left out: {', '.join(others)})\n" in out
    assert_is_fit(make_pipeline(SoftKMeans(3, random_state=0)), X[order], *found)
    assert list(found[-1].feature_names_in_) == order


def test_columns_with_commas_in_their_names(fitted, X, folder):
    renamed = X.set_axis(["width, cm", "length", "height"], axis=1)
    renamed.to_csv("commas.csv", index=False)
    columns = ' height , "width, cm"'
    _, *found = fitted("commas.csv", "--columns", columns, "--n-clusters", 3)
    model = make_pipeline(SoftKMeans(3, random_state=0))
    assert_is_fit(model, renamed[["height", "width, cm"]], *found)


def test_default_names_of_arrays(fitted, X):
    out, *found = fitted("data.npy", "--columns", "x2,x0", "--n-clusters", 3)
    assert "(left out: x1)" in out
    model = make_pipeline(SoftKMeans(3, random_state=0))
    assert_is_fit(model, X.to_numpy()[:, [2, 0]], *found)


def test_text_without_names(fitted, X, folder):
    X.to_csv("bare.csv", index=False, header=False)
    out, *found = fitted("bare.csv", "--n-clusters", 3)
    assert out.startswith(
        "bare.csv: 90 rows, 3 columns; its first line of numbers is data\n"
    )
    model = make_pipeline(SoftKMeans(3, random_state=0))
    assert_is_fit(model, X.to_numpy(), *found)


def test_temperature_0_is_kmeans(fitted, X):
    out, labels, memberships, model = fitted(
        "data.csv", "--n-clusters", 3, "--temperature", 0
    )
    assert re.search(r"^temperature +0  squared units", out, re.MULTILINE)
    assert_array_equal(memberships, np.eye(3)[labels])
    hard = KMeans(3, init=model[-1].cluster_centers_, n_init=1).fit(X.to_numpy())
    assert_array_equal(labels, hard.labels_)
    assert_allclose(model[-1].cluster_centers_, hard.cluster_centers_)


@pytest.mark.parametrize("name", ["soft", "entmax", "truncated"])
def test_temperature_in_critical_units(fitted, X, name):
    out, labels, memberships, model = fitted(
        *("data.csv", "--n-clusters", 3, "--estimator", name),
        *("--temperature", 0.25, "--temperature-unit", "critical"),
    )
    estimator = ESTIMATORS[name](
        3, temperature=0.25, temperature_unit="critical", random_state=0
    )
    assert_is_fit(make_pipeline(estimator), X, labels, memberships, model)
    # Of order 1, but for entmax of order 1.5.
    critical = critical_temperature(X, n_clusters=3, alpha=1 + 0.5 * (name == "entmax"))
    assert_allclose(model[-1].temperature_, 0.25 * critical)


@pytest.mark.parametrize(
    ("text", "value"), [("1e3", 1000.0), ("auto", "auto"), ("ml", "ml")]
)
def test_temperature(fitted, X, text, value):
    _, *found = fitted("data.csv", "--n-clusters", 3, "--temperature", text)
    model = make_pipeline(SoftKMeans(3, temperature=value, random_state=0))
    assert_is_fit(model, X, *found)


def test_seed(fitted, X):
    for seed in (0, 1, 2**32 - 1):
        _, *found = fitted("data.csv", "--n-clusters", 5, "--seed", seed)
        model = make_pipeline(SoftKMeans(5, random_state=seed))
        assert_is_fit(model, X, *found)


def test_defaults(fitted, X):
    _, *found = fitted("data.csv")
    assert_is_fit(make_pipeline(SoftKMeans(8, random_state=0)), X, *found)


@pytest.mark.parametrize("n_clusters", [1, 90])
def test_extreme_numbers_of_clusters(fitted, X, n_clusters):
    _, labels, memberships, model = fitted(
        *("data.csv", "--n-clusters", n_clusters, "--temperature", 0),
        *("--plot", "p.png"),
    )
    assert memberships.shape == (90, n_clusters)
    assert_array_equal(np.unique(labels), range(n_clusters))


def test_without_options_nothing_is_written(command, folder):
    before = contents(folder)
    code, out, err = command("data.csv", "--n-clusters", 3)
    assert (code, err) == (0, "")
    assert out.startswith("data.csv: 90 rows, 3 columns\n\ncluster ")
    assert contents(folder) == before


def test_quiet(command, folder):
    assert command("data.csv", "--n-clusters", 3, *OUTPUTS, "--quiet") == (0, "", "")
    assert {"m.csv", "m.joblib", "p.png"} < set(names(folder))
    args = ["predict", "m.joblib", "data.csv", "--quiet"]
    assert command(*args, "--output", "again.csv") == (0, "", "")
    assert Path("again.csv").read_bytes() == Path("m.csv").read_bytes()
    assert command(*args) == (0, Path("m.csv").read_text(), "")


# It is to be printed, and not an error as in all other tests.
@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_a_warning_is_one_line(command, folder):
    Path("same.csv").write_text("a,b\n" + 4 * "1,2\n")
    outputs = ["--plot", "p.png", "--output", "m.csv", "--quiet"]
    code, out, err = command("same.csv", "--n-clusters", 3, *outputs)
    assert (code, out) == (0, "")
    assert err.startswith("softkmeans: warning: Number of distinct clusters (1) found")
    assert err.count("\n") == 1
    assert len(read_memberships("m.csv")[0]) == 4


def test_outputs_replace_those_of_before(command, folder):
    for n_clusters in (4, 3):
        assert command("data.csv", "--n-clusters", n_clusters, *OUTPUTS)[0] == 0
        assert read_memberships("m.csv")[1].shape == (90, n_clusters)
        assert joblib.load("m.joblib")[-1].n_clusters == n_clusters
    assert len(names(folder)) == 6


def test_memberships_in_batches(fitted, X, monkeypatch):
    monkeypatch.setattr(_outputs, "_BATCH", 3 * 40)
    _, labels, memberships, model = fitted("data.csv", "--n-clusters", 3)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(memberships, model.predict_proba(X), rtol=0, atol=1e-12)


def test_without_data_estimators_are_compared(command, monkeypatch):
    monkeypatch.setattr(_comparison, "compare", lambda: sys.stdout.write("all"))
    assert command() == (0, "all", "")


@pytest.mark.parametrize("args", [["--help"], ["predict", "--help"]])
def test_help_fits_one_screen(command, args, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as raised:
        command(*args)
    assert raised.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("usage: softkmeans ")
    if args == ["--help"]:
        options = (
            "estimator n-clusters temperature temperature-unit scale columns output "
            "save plot seed quiet"
        )
        for option in options.split():
            assert f"  --{option} " in out
        for name in ESTIMATORS:
            assert name in out
    else:
        assert "model files run code when they are loaded" in " ".join(out.split())


# Models.


@pytest.fixture
def saved(command):
    """Return a model file, and the memberships that were written with it."""
    outputs = ["--output", "m.csv", "--save", "m.joblib"]
    assert command("data.csv", "--n-clusters", 3, "--scale", *outputs)[0] == 0
    return "m.joblib", Path("m.csv").read_text()


def test_a_model_is_applied_to_a_file(command, saved, frame, folder):
    model, expected = saved
    # In another order, with another column, and again.
    frame[["height", "kind", "length", "width"]].to_csv("new.csv", index=False)
    assert command("predict", model, "new.csv") == (0, expected, TRUST)
    code, out, err = command("predict", model, "new.csv", "--output", "new.m.csv")
    assert (code, err) == (0, TRUST)
    assert Path("new.m.csv").read_text() == expected
    line, clusters = out.split("\n\n")
    assert line == "new.csv: 90 rows, 3 columns (left out: kind)"
    assert clusters.splitlines()[0] == "cluster      size  certainty"
    assert len(clusters.splitlines()) == 4


def test_a_model_is_applied_to_few_rows(command, saved, X, folder):
    model, _ = saved
    X[:1].to_parquet("new.parquet")
    code, out, _ = command("predict", model, "new.parquet")
    header, row = out.splitlines()
    assert code == 0
    assert_allclose(
        [float(p) for p in row.split(",")[2:]],
        joblib.load(model).predict_proba(X[:1])[0],
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("wrap", [make_pipeline, lambda soft: soft])
def test_a_model_that_was_fitted_to_an_array(command, X, folder, wrap):
    model = wrap(SoftKMeans(3, random_state=0)).fit(X.to_numpy())
    joblib.dump(model, "own.joblib")
    code, _, _ = command("predict", "own.joblib", "data.npy", "--output", "m.csv")
    assert code == 0
    labels, memberships = read_memberships("m.csv")
    assert_array_equal(labels, model.predict(X.to_numpy()))
    assert_array_equal(memberships, model.predict_proba(X.to_numpy()))


# What is missing.


@pytest.mark.parametrize(
    ("module", "args", "purpose"),
    [
        ("pandas", ["data.csv"], "data.csv"),
        ("matplotlib", ["data.npy", "--plot", "p.png"], "--plot"),
    ],
)
def test_libraries_that_are_not_installed(
    command, folder, module, args, purpose, monkeypatch
):
    before = contents(folder)
    monkeypatch.setitem(sys.modules, module, None)
    message = (
        f"{purpose} needs {module}, which is not installed: "
        'pip install "sk-softkmeans[cli]"'
    )
    assert_one_error(*command(*args), message)
    assert contents(folder) == before


def test_arrays_need_nothing_else(folder):
    code = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("pandas", "pyarrow", "matplotlib", "rich"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from sk_softkmeans.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    outputs = ["--output", "m.csv", "--save", "m.joblib"]
    process = run(
        *("data.npy", "--n-clusters", 3, *outputs),
        cwd=folder,
        command=[sys.executable, "-W", "error", "-c", code],
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("data.npy: 90 rows, 3 columns\n")
    assert read_memberships("m.csv")[1].shape == (90, 3)


# Mistakes.


@pytest.fixture
def crowded(folder, saved):
    """Return the folder with more files, among them all outputs."""
    files = {
        "empty.csv": "",
        "text.csv": "a,b\n1,2\n3,x\n",
        "nan.csv": "a,b\n1,2\n3,\n,5\n",
        "inf.csv": "a,b\n1,2\n3,inf\n",
        "few.csv": "a,b\n1,2\n3,4\n",
        "names.csv": "a,b\n",
        "twice.csv": "a,b,a\n1,2,3\n4,5,6\n",
        "ragged.csv": "a,b\n1,2\n3,4,5\n",
        "huge.csv": "width,length,height\n1e200,1,2\n-1e200,3,4\n",
        "bare.csv": "0.5,1\n2,x\n",
        "data.txt": "a,b\n1,2\n",
        "other.joblib": "hello",
        "empty.joblib": "",
        "old.csv": "old",
        "old.joblib": "old",
        "old.png": "old",
    }
    for name, text in files.items():
        Path(name).write_text(text)
    Path("folder.csv").mkdir()
    Path("link.csv").symlink_to("data.csv")
    Path("hard.csv").hardlink_to("data.csv")
    np.save("objects.npy", np.array([[1, "a"]], dtype=object))
    np.save("flat.npy", np.ones(9))
    np.savez("two.npz", a=np.ones((9, 2)), b=np.ones((9, 2)))
    Path("cut.parquet").write_bytes(b"PAR1")
    Path("packed.joblib").write_bytes(b"\x1f\x8bhello")
    joblib.dump(SoftKMeans(3), "unfitted.joblib")
    joblib.dump(make_pipeline(StandardScaler(), SoftKMeans(3)), "unfitted2.joblib")
    half = make_pipeline(StandardScaler().fit(np.eye(3)), SoftKMeans(3))
    joblib.dump(half, "unfitted3.joblib")
    joblib.dump(make_pipeline(), "steps.joblib")
    arrays = SoftKMeans(1).fit(np.eye(3))
    joblib.dump(arrays, "arrays.joblib")
    joblib.dump(KMeans(2, n_init=1).fit([[0], [1]]), "kmeans.joblib")
    joblib.dump({"a": 1}, "dictionary.joblib")
    return folder


OLD = ["--output", "old.csv", "--save", "old.joblib", "--plot", "old.png"]
MISTAKES = [
    # Files.
    ("nothing.csv", "nothing.csv: No such file or directory"),
    ("data.csv/x.csv", "data.csv/x.csv: Not a directory"),
    ("folder.csv", "folder.csv is a directory, not a file"),
    ("empty.csv", "empty.csv is empty"),
    ("data.txt", "data.txt must end in '.csv', '.tsv', '.npy', '.npz', '.parquet'"),
    ("text.csv --n-clusters 1", "not numeric: 'b' ('x' in row 1)"),
    ("bare.csv --n-clusters 1", "not numeric: 'x1' ('x' in row 1)"),
    ("mixed.csv", "not numeric: 'kind'"),
    ("mixed.csv --columns width,kind", "not numeric: 'kind'"),
    (
        "nan.csv --n-clusters 1",
        "infinite values: 2, the first (nan) in row 1, column 'b'",
    ),
    (
        "inf.csv --n-clusters 1",
        "infinite values: 1, the first (inf) in row 1, column 'b'",
    ),
    ("few.csv", "few.csv has 2 rows, fewer than the 8 clusters of --n-clusters"),
    ("data.npy --n-clusters 91", "data.npy has 90 rows, fewer than the 91 clusters"),
    ("names.csv", "names.csv has no rows"),
    ("twice.csv --n-clusters 1", "twice.csv has more than one column 'a'"),
    ("ragged.csv --n-clusters 1", "ragged.csv cannot be read, is it damaged?"),
    ("huge.csv --n-clusters 2", "The scale of X must let sums"),
    ("objects.npy", "objects.npy holds Python objects or is damaged"),
    ("flat.npy", "flat.npy must hold an array of rows and columns"),
    ("two.npz", "two.npz must hold one array, or one called 'X', got 'a', 'b'"),
    ("cut.parquet", "cut.parquet cannot be read, is it damaged?"),
    # Columns.
    ("data.csv --columns width,depth", "data.csv has no column 'depth', only 'width',"),
    ("data.csv --columns width,width", "names a column more than once"),
    ("data.csv --columns=", "--columns: a name is missing in ''"),
    ("data.csv --columns width,\n,height", "--columns: "),
    ("data.csv --columns width,", "--columns: a name is missing in 'width,'"),
    (
        "data.npy --columns width",
        "data.npy has no column 'width', only 'x0', 'x1', 'x2'",
    ),
    # Outputs.
    ("data.csv --output nowhere/m.csv", "nowhere/m.csv cannot be written: No such"),
    ("data.csv --save nowhere/m.joblib", "nowhere/m.joblib cannot be written: No"),
    ("data.csv --plot nowhere/p.png", "nowhere/p.png cannot be written: No such"),
    ("data.csv --save folder.csv", "folder.csv cannot be written: it is not a regular"),
    ("data.csv --output folder.csv", "folder.csv cannot be written: it is not a reg"),
    (f"data.csv --save {'x' * 300}", "File name too long"),
    ("data.csv --output m.tsv", "m.tsv must end in '.csv'"),
    ("data.csv --output m", "m must end in '.csv'"),
    ("data.csv --output /dev/null.txt", "/dev/null.txt must end in '.csv'"),
    ("data.csv --plot /dev/null", "/dev/null must end in '.png', '.pdf', '.svg'"),
    ("data.csv --save /dev/fd/987654", "987654 cannot be written: Bad file descriptor"),
    ("data.csv --plot p.csv", "p.csv must end in '.png', '.pdf', '.svg'"),
    ("data.csv --plot png", "png must end in '.png'"),
    ("data.csv --output data.csv", "data.csv is given twice"),
    ("data.csv --output ./data.csv", "data.csv is given twice"),
    ("data.csv --output link.csv", "data.csv is given twice"),
    ("data.csv --output hard.csv", "data.csv is given twice"),
    ("data.csv --output=", " must end in '.csv'"),
    ("data.csv --plot=", " must end in '.png'"),
    ("data.csv --save=", " cannot be written"),
    ("data.csv --save x.png --plot ./x.png", "x.png is given twice"),
    # Options.
    (
        "--quiet",
        "the following arguments are required: DATA (--help lists the options)",
    ),
    ("data.csv few.csv", "unrecognized arguments: few.csv"),
    ("data.csv --clusters 3", "unrecognized arguments: --clusters 3"),
    ("data.csv --n-cl 3", "unrecognized arguments: --n-cl 3"),
    ("data.csv --estimator hard", "--estimator: invalid choice: 'hard'"),
    ("data.csv --n-clusters 0", "'n_clusters' parameter of SoftKMeans must be an int"),
    ("data.csv --n-clusters 2.5", "--n-clusters: invalid int value: '2.5'"),
    ("data.csv --n-clusters", "--n-clusters: expected one argument"),
    ("data.csv --seed -1", "'random_state' parameter of SoftKMeans must be an int"),
    ("data.csv --seed x", "--seed: invalid int value: 'x'"),
    ("data.csv --temperature -1", "'temperature' parameter of SoftKMeans must be"),
    ("data.csv --temperature nan", "'temperature' parameter of SoftKMeans must be"),
    ("data.csv --temperature inf", "'temperature' parameter of SoftKMeans must be"),
    ("data.csv --temperature hot", "'temperature' parameter of SoftKMeans must be"),
    ("data.csv --temperature ml --estimator entmax", "temperature must be 'auto' or a"),
    (
        "data.csv --temperature-unit kelvin",
        "'temperature_unit' parameter of SoftKMeans",
    ),
    ("data.csv --temperature 1 --estimator maxent", "--temperature has no meaning for"),
    (
        "data.csv --temperature-unit critical --estimator maxent",
        "--temperature-unit has no meaning for maxent",
    ),
    # Models.
    ("predict", "the following arguments are required: MODEL, DATA"),
    ("predict m.joblib", "the following arguments are required: DATA"),
    ("predict m.joblib data.csv --scale", "unrecognized arguments: --scale"),
    ("predict nothing.joblib data.csv", "nothing.joblib: No such file or directory"),
    ("predict folder.csv data.csv", "folder.csv: Is a directory"),
    ("predict empty.joblib data.csv", "empty.joblib cannot be loaded as a model"),
    ("predict other.joblib data.csv", "other.joblib cannot be loaded as a model"),
    ("predict packed.joblib data.csv", "packed.joblib cannot be loaded as a model"),
    ("predict data.npy data.csv", "data.npy cannot be loaded as a model"),
    ("predict unfitted.joblib data.csv", "does not hold a fitted soft k-means"),
    ("predict unfitted2.joblib data.csv", "does not hold a fitted soft k-means"),
    ("predict unfitted3.joblib data.csv", "does not hold a fitted soft k-means"),
    ("predict steps.joblib data.csv", "does not hold a fitted soft k-means"),
    ("predict kmeans.joblib data.csv", "does not hold a fitted soft k-means"),
    ("predict dictionary.joblib data.csv", "does not hold a fitted soft k-means"),
    ("predict m.joblib nothing.csv", "nothing.csv: No such file or directory"),
    ("predict m.joblib few.csv", "few.csv has no column 'width', 'length', 'height',"),
    ("predict m.joblib data.npy", "data.npy has no column 'width'"),
    ("predict arrays.joblib few.csv", "few.csv has 2 columns, and the model is for 3"),
    ("predict m.joblib huge.csv", "The scale of X must let sums"),
    ("predict m.joblib data.csv --output data.csv", "data.csv is given twice"),
    ("predict m.joblib data.csv --output m.tsv", "m.tsv must end in '.csv'"),
    ("predict m.joblib data.csv --output nowhere/m.csv", "m.csv cannot be written"),
]


@pytest.mark.parametrize(
    ("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES]
)
def test_a_mistake_is_one_line_and_changes_nothing(command, crowded, line, message):
    args = line.split(" ")
    if args[0] == "predict":
        args.append("--quiet")
    before = contents(crowded)
    assert_one_error(*command(*args), message)
    assert contents(crowded) == before


@pytest.mark.parametrize("data", ["text.csv", "few.csv", "nothing.csv", "huge.csv"])
def test_outputs_of_before_outlive_a_mistake(command, crowded, data):
    before = contents(crowded)
    columns = [] if data != "huge.csv" else ["--n-clusters", 2]
    code, out, err = command(data, *OLD, *columns)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert contents(crowded) == before


def test_a_mistake_about_a_model_that_was_trusted(command, crowded):
    code, out, err = command("predict", "m.joblib", "few.csv", "--output", "old.csv")
    assert (code, out) == (2, "")
    assert err.startswith(f"{TRUST}softkmeans: error: few.csv has no column ")
    assert err.count("\n") == 2
    assert Path("old.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("Pipeline.fit", ""),
        ("write_memberships", "old.csv cannot be written: "),
        ("joblib.dump", "old.joblib cannot be written: "),
        ("draw", "old.png cannot be written: "),
    ],
)
@pytest.mark.parametrize(
    ("error", "args", "code", "message"),
    [
        (KeyboardInterrupt, (), 130, "interrupted"),
        (OSError, (errno.ENOSPC, "No space left"), 2, "{where}No space left"),
        (OSError, (errno.EIO, "Input/output error", "x"), 2, "x: Input/output error"),
        (OSError, ("no reason",), 2, "{where}no reason"),
    ],
    ids=["interrupt", "full", "named", "bare"],
)
def test_late_errors_change_nothing(
    command, crowded, place, where, error, args, code, message, monkeypatch
):
    def fail(*_):
        raise error(*args)

    monkeypatch.setattr(f"sk_softkmeans.__main__.{place}", fail)
    before = contents(crowded)
    found = command("data.csv", "--n-clusters", 3, *OLD)
    message = message.format(where=where)
    assert found == (code, "", f"softkmeans: error: {message}\n")
    assert contents(crowded) == before


def test_code_in_data_is_not_run(command, folder):
    class RunsCode:
        def __reduce__(self):
            return Path.touch, (Path("ran"),)

    np.save("code.npy", np.array([[RunsCode()]]))
    np.savez("code.npz", np.array([[RunsCode()]]))
    for name in ("code.npy", "code.npz"):
        assert_one_error(*command(name), "holds Python objects or is damaged")
    assert not Path("ran").exists()


def test_the_system_ends_the_command(command, crowded, monkeypatch):
    before = contents(crowded)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    monkeypatch.setattr(
        __main__.Pipeline, "fit", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    with pytest.raises(SystemExit) as raised:
        command("data.csv", *OLD)
    assert raised.value.code == 128 + signal.SIGTERM
    assert contents(crowded) == before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_signals_that_the_caller_ignores_stay_ignored():
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with __main__.terminable():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_too_little_memory(command, crowded, monkeypatch):
    def fail(*args, **options):
        raise MemoryError

    before = contents(crowded)
    for place, line, message in (
        ((pd, "read_csv"), "data.csv", "data.csv does not fit in memory"),
        ((np, "isfinite"), "data.npy", "data.npy does not fit in memory"),
        ((pd, "DataFrame"), "data.csv", "data.csv does not fit in memory"),
        ((__main__.Pipeline, "fit"), "data.csv", "there is not enough memory"),
        ((joblib, "load"), "predict m.joblib data.csv", "m.joblib does not fit in mem"),
    ):
        args = line.split()
        options = ["--quiet"] if args[0] == "predict" else OLD
        with monkeypatch.context() as patch:
            patch.setattr(*place, fail)
            assert_one_error(*command(*args, *options), f"error: {message}")
    assert contents(crowded) == before


def test_closed_streams(folder):
    expected = run("data.csv", "--n-clusters", 3, "--output", "1.csv", cwd=folder)
    assert expected.returncode == 0
    line = shlex.join(
        [*MODULE, *["data.csv", "--n-clusters", "3", "--output", "2.csv"]]
    )
    closed = subprocess.run(line, shell=True, cwd=folder, check=False)
    assert closed.returncode == 0
    assert Path("2.csv").read_bytes() == Path("1.csv").read_bytes()


def test_a_model_of_arrays_takes_columns_by_position(command, folder):
    args = ["--n-clusters", 3, "--output", "1.csv", "--save", "a.joblib"]
    assert command("data.npy", *args)[0] == 0
    code, _, err = command("predict", "a.joblib", "data.csv", "--output", "2.csv")
    assert (code, err) == (0, TRUST)
    labels, memberships = read_memberships("2.csv")
    expected, reference = read_memberships("1.csv")
    assert_array_equal(labels, expected)
    assert_allclose(memberships, reference, atol=1e-12)


def test_names_cannot_move_the_cursor(command, folder):
    Path("bell.csv").write_text('"\x1b[31ma","b\nc",d\n1,2,x\n3,4,y\n')
    code, out, err = command("bell.csv", "--columns", "\x1b[31ma", "--n-clusters", 2)
    assert (code, err) == (0, "")
    assert r"(left out: b\nc, d)" in out
    assert r"\x1b[31ma +1.00" in out
    assert_one_error(*command("bell.csv"), "'d' ('x' in row 0)")
