"""Time fuzzy-c-means for bench_iteration.py, in an environment with numpy < 2.

    python _fcm_worker.py X.npy N_CLUSTERS

prints its versions, then answers every line "MAX_ITER" on its input by a line
"SECONDS N_ITER".
"""

import sys
from importlib.metadata import version
from time import perf_counter

import numpy as np
from fcmeans import FCM


class CountingFCM(FCM):
    """FCM from given centers that counts its iterations."""

    def _init_u(self, X):
        self.n_iter = 0
        self.u = FCM._memberships(FCM._dist(X, X[: self.n_clusters]), self.m)

    def _update_centers(self, X):
        self.n_iter += 1
        super()._update_centers(X)


def main():
    """Answer until the input ends."""
    X, n_clusters = np.load(sys.argv[1]), int(sys.argv[2])
    versions = f"fuzzy-c-means {version('fuzzy-c-means')} (numpy {version('numpy')})"
    print(versions, flush=True)
    for line in sys.stdin:
        model = CountingFCM(n_clusters=n_clusters, m=2.0, max_iter=int(line))
        # The constructor demands 1e-9, which stops it early.
        model.error = 0.0
        start = perf_counter()
        model.fit(X)
        print(perf_counter() - start, model.n_iter, flush=True)


if __name__ == "__main__":
    main()
