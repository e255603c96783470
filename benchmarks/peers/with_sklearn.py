"""The net as scikit-learn's MLPClassifier."""

from __future__ import annotations

import numpy as np
from workloads import Workload

from .predictor import Predictor, row


class SklearnTrainer:
    """MLPClassifier in float32. One partial_fit is one pass over all batches, which spreads its checks over many steps."""

    def __init__(self, work: Workload) -> None:
        if work.batch_norm or work.dropout:
            raise NotImplementedError("MLPClassifier has neither batch normalisation nor dropout")
        self.model = _sklearn_model(work)
        self.work = work
        self.x, self.y = work.data()

    def losses(self, steps: int) -> np.ndarray:
        rows, n = self.work.batch, self.work.batches
        losses = []
        for i in range(steps):
            part = slice(i % n * rows, (i % n + 1) * rows)
            self.model.partial_fit(self.x[part], self.y[part])
            losses.append(self.model.loss_)
        return np.array(losses)

    def run(self, steps: int) -> int:
        done = 0
        while done < steps:
            self.model.partial_fit(self.x, self.y)
            done += self.work.batches
        return done


def _sklearn_model(work: Workload):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        work.sizes[1:-1],
        activation="relu" if work.activation == "relu" else "logistic",
        solver=work.optimizer,
        alpha=0.0,
        batch_size=work.batch,
        learning_rate_init=work.lr,
        shuffle=False,
        momentum=0.0,
        nesterovs_momentum=False,
        random_state=0,
    )
    x, y = work.data()
    classes = np.arange(max(2, work.sizes[-1]))
    model.partial_fit(x[: work.batch], y[: work.batch], classes=classes)  # makes the arrays, which now take the common weights
    del model._optimizer
    for i, (w, b) in enumerate(work.parameters()):
        model.coefs_[i][:] = w
        model.intercepts_[i][:] = b
    return model


def sklearn_predictor(work: Workload) -> Predictor:
    model, x = _sklearn_model(work), row(work)
    return Predictor(lambda: model.predict_proba(x), lambda p: p[:, 1:] if work.binary else p)
