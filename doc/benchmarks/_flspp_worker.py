"""Run FLS++ for bench_annealed.py, in an environment with numpy < 2.

    python _flspp_worker.py X.npy N_CLUSTERS

prints its versions, then answers every line "SEED" on its input by a line
"SECONDS INERTIA".
"""

import sys
from importlib.metadata import version
from time import perf_counter

import numpy as np
from flspp import FLSpp
from sklearn.metrics import pairwise_distances_argmin_min


def main():
    """Answer until the input ends."""
    X, n_clusters = np.load(sys.argv[1]), int(sys.argv[2])
    print(f"flspp {version('flspp')} (numpy {version('numpy')})", flush=True)
    for line in sys.stdin:
        model = FLSpp(n_clusters=n_clusters, random_state=int(line))
        start = perf_counter()
        model.fit(X)
        seconds = perf_counter() - start
        # Its own inertia_ may be that of float64 copies, or of the iteration before.
        centers = np.asarray(model.cluster_centers_, dtype=X.dtype)
        inertia = (pairwise_distances_argmin_min(X, centers)[1] ** 2).sum()
        print(seconds, inertia, flush=True)


if __name__ == "__main__":
    main()
