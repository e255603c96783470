"""Several processes search with Optuna: they share one study, and each fits one net at a time on one thread.

    python examples/search_optuna.py                (needs scikit-learn and optuna)
    python examples/search_optuna.py --workers 4 --trials 40

The study is a file, which Optuna's journal locks. A database works as well, and then the processes may be on several machines.
After every epoch, a trial reports its accuracy on rows that were held out. Optuna ends trials that fall behind.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from nncore.estimators import MLPClassifier


def objective(trial: optuna.Trial, rows: int, epochs: int) -> float:
    """Train one net, epoch by epoch, and return its accuracy on the rows that were held out."""
    x, y = load_digits(return_X_y=True)
    x, held_x, y, held_y = train_test_split(x[:rows].astype(np.float32), y[:rows], test_size=0.25, random_state=0)
    scale = StandardScaler().fit(x)
    x, held_x = scale.transform(x), scale.transform(held_x)
    net = MLPClassifier(
        hidden_layer_sizes=[trial.suggest_int(f"units_{i}", 8, 64, log=True) for i in range(trial.suggest_int("layers", 1, 2))],
        learning_rate_init=trial.suggest_float("learning_rate_init", 1e-4, 1e-1, log=True),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        random_state=0,
    )
    best = 0.0
    for epoch in range(epochs):
        best = max(best, net.partial_fit(x, y, classes=np.arange(10)).score(held_x, held_y))
        trial.report(best, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best


def work(path: str, trials: int, rows: int, epochs: int, seed: int) -> None:
    """Run trials of the study in the file until their number is reached; this is what each process does."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        study_name="digits",
        storage=JournalStorage(JournalFileBackend(path)),
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=3),
    )
    study.optimize(lambda trial: objective(trial, rows, epochs), n_trials=trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=16, help="of all workers together")
    parser.add_argument("--rows", type=int, default=1797)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that follow: one thread each
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "study.log")
        study = optuna.create_study(study_name="digits", direction="maximize", storage=JournalStorage(JournalFileBackend(path)))
        shares = [len(range(i, options.trials, options.workers)) for i in range(options.workers)]
        start = multiprocessing.get_context("spawn").Process
        processes = [start(target=work, args=(path, n, options.rows, options.epochs, i)) for i, n in enumerate(shares)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise SystemExit("a worker failed")
        trials = study.trials
        pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in trials)
        print(f"{len(trials)} trials by {options.workers} processes, {pruned} of them ended early")
        print(f"best: {study.best_value:.3f}  {study.best_params}")


if __name__ == "__main__":
    main()
