"""A grid search on a Dask cluster. The fits run on its workers; scikit-learn and joblib send them there.

    python examples/search_dask.py                  (needs scikit-learn and dask[distributed])
    python examples/search_dask.py tcp://10.0.0.5:8786

Without an address, the program starts a cluster of two processes on this machine. With the address of a scheduler, it uses that
cluster, whose workers need nncore and scikit-learn. Dask starts its processes with OMP_NUM_THREADS=1, so that each computes on one
thread.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import nncore as nn
from nncore.estimators import MLPClassifier

GRID = {
    "net__hidden_layer_sizes": [(32,), (64, 32)],
    "net__alpha": [1e-4, 1e-2],
}


def search(rows: int, epochs: int) -> GridSearchCV:
    """Search where joblib's backend runs tasks: each fit of each fold is one."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:rows].astype(np.float32), y[:rows]
    net = MLPClassifier(max_iter=epochs, early_stopping=True, random_state=0)
    return GridSearchCV(Pipeline([("scale", StandardScaler()), ("net", net)]), GRID, cv=3).fit(x, y)


def report(found: GridSearchCV) -> None:
    """Print the mean accuracy of each candidate, and the best one."""
    for settings, score in zip(found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True):
        print(f"{score:.3f}  {', '.join(f'{name[5:]}={value}' for name, value in settings.items())}")
    print(f"best: {found.best_score_:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scheduler", nargs="?", help="address of a scheduler; a cluster of this machine is started without it")
    parser.add_argument("--rows", type=int, default=1797)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    with ExitStack() as closing:
        where = options.scheduler or closing.enter_context(
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        )
        client = closing.enter_context(Client(where))
        workers = client.run(nn.get_num_threads)
        print(f"{len(workers)} workers, each with {max(workers.values())} thread for a fit")
        with parallel_config(backend="dask", client=client):
            report(search(options.rows, options.epochs))


if __name__ == "__main__":
    main()
