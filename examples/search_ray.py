"""A random search on Ray. The fits run on its workers; scikit-learn and joblib send them there.

    python examples/search_ray.py                   (needs scikit-learn and ray)
    python examples/search_ray.py --address auto

Without an address, the program starts Ray on this machine and ends it again. `--address auto` uses the Ray cluster that this
machine belongs to; its other machines need nncore and scikit-learn. Ray starts its processes with OMP_NUM_THREADS=1, so that each
computes on one thread.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no GPUs here, so nothing to hide

import ray
from joblib import parallel_config
from ray.util.joblib import register_ray
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import nncore as nn
from nncore.estimators import MLPClassifier

CHOICES = {
    "net__hidden_layer_sizes": [(32,), (64,), (64, 32)],
    "net__learning_rate_init": loguniform(1e-3, 1e-1),
}


def search(rows: int, epochs: int, candidates: int) -> RandomizedSearchCV:
    """Search where joblib's backend runs tasks: each fit of each fold is one."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:rows].astype(np.float32), y[:rows]
    net = Pipeline([("scale", StandardScaler()), ("net", MLPClassifier(max_iter=epochs, early_stopping=True, random_state=0))])
    return RandomizedSearchCV(net, CHOICES, n_iter=candidates, cv=3, random_state=0).fit(x, y)


def report(found: RandomizedSearchCV) -> None:
    """Print the mean accuracy of each candidate, and the best one."""
    for settings, score in zip(found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True):
        print(f"{score:.3f}  {settings['net__learning_rate_init']:.4f}  {settings['net__hidden_layer_sizes']}")
    print(f"best: {found.best_score_:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a Ray cluster, or auto; Ray is started here without it")
    parser.add_argument("--rows", type=int, default=1797)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=8)
    options = parser.parse_args()
    if options.address:
        ray.init(address=options.address)
    else:  # 100 MB of shared memory are enough for the digits
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False, logging_level="error")
    try:
        threads = ray.get(ray.remote(nn.get_num_threads).remote())
        print(f"{ray.cluster_resources()['CPU']:.0f} workers, each with {threads} thread for a fit")
        register_ray()
        with parallel_config(backend="ray", n_jobs=-1):
            report(search(options.rows, options.epochs, options.candidates))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
