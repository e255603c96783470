"""What the tests of callbacks share: a stand-in for a model, told what each epoch brings."""

import numpy as np

import nncore as nn


class Scripted:
    """A model without numbers: the callback sees its learning rate, its metrics and the flag that stops training."""

    step = 0

    def __init__(self, lr=1.0):
        self.stop_training = False
        self.metrics = [nn.metrics.Accuracy(), nn.metrics.MAE()]
        self.metrics_names = ["loss", "accuracy"]
        self.optimizer = nn.optim.SGD(lr=lr)


def play(callback, values, key="val_loss", model=None):
    """Give the callback one value per epoch; return the number of epochs that ran, and the learning rate of each."""
    model = model or Scripted()
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        rates.append(model.optimizer.lr)
        callback.on_epoch_end(epoch, {key: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return len(rates), rates


def small(**options):
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile(loss="mse", optimizer="sgd", metrics=["mae"], **options)
    return model


X, Y = np.arange(20.0).reshape(10, 2) / 20, np.arange(10.0)
