"""What type checkers refuse: each line that is marked, and no other. It is not run."""

from typing import Any

import numpy as np

import nncore as nn

x, y = np.zeros((8, 4)), np.zeros((8, 1))
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))

# Layers.
nn.Linear("a", 3)  # error
nn.Linear(4)  # error
nn.Linear(4, 8, True, 0.1)  # error
nn.Linear(4, 8, baias=True)  # error
nn.Linear(4, 8, activation="relu")  # error
nn.Linear(4, 8, weight_init="he_norm")  # error
nn.Linear(4, 8, name=3)  # error
nn.Linear(4, 8).wieght  # error
nn.Linear(4, 8).wieght = x  # error
nn.Linear(4, 8).weight = None  # error
nn.Linear(4, 8).trainable = "no"  # error
nn.Dropout(rate=3)  # error
nn.Dropout("half")  # error
nn.ReLU(0.2)  # error
nn.ReLU(negative_slope=0.2)  # error
nn.ReLU(name=True)  # error
nn.GELU(approximate="erf")  # error
nn.RNN(4, 8, nonlinearity="sigmoid")  # error
nn.LSTM(4, 8, nonlinearity="relu")  # error
nn.GRU(4, 8, bidirectional="yes")  # error
nn.Embedding(10, 4, padding_idx="<pad>")  # error
nn.LayerNorm("last")  # error
nn.BatchNorm1d(4, momentum="high")  # error
nn.Add(axis=1)  # error
nn.Add([x, x])  # error
nn.add(x, y)  # error
nn.Reshape("3", 4)  # error
nn.Lambda(3)  # error
nn.Conv2d(3, 8)  # error
nn.ReLU()(None)  # error
nn.Input(8)  # error
nn.Input((8,), name=3)  # error

# Models.
nn.Sequential("relu")  # error
nn.Sequential(nn.Linear(4, 8), seed="0")  # error
nn.Model(nn.Input((8,)))  # error
nn.Model(x, y)  # error
model["first"]  # error
model.compile(loss="msee", optimizer="adam")  # error
model.compile(loss="mse", optimizer="adma")  # error
model.compile(loss="mse", optimizer="adam", metrics=["acuracy"])  # error
model.compile(loss="mse", optimizer="adam", metrics="accuracy")  # error
model.compile(loss="adam", optimizer="mse")  # error
model.compile(loss="mse", optimizer="adam", weighted_metrics=["acuracy"])  # error
model.fit(x, y, step_losses="every")  # error
model.compile(loss="mse")  # error
model.compile(loss={"output": "msee"}, optimizer="adam")  # error
model.compile(loss=["mse", "msee"], optimizer="adam")  # error
model.compile(loss=nn.losses.Huber, optimizer="adam", learning_rate=0.1)  # error
model.compile(loss=3, optimizer="adam")  # error
model.compile(loss="mse", optimizer=nn.optim.Adam)  # error
model.fit(x, y, epochs="3")  # error
model.fit(x, y, 3)  # error
model.fit()  # error
model.fit(None, y)  # error
model.fit(x, y, batch_size=32.0)  # error
model.fit(x, y, epoch=3)  # error
model.fit(x, y, verbose="yes")  # error
model.fit(x, y, class_weight="balancd")  # error
model.fit(x, y, validation_data=0.2)  # error
model.fit(x, y, callbacks=3)  # error
model.fit(x, y).historie  # error
model.predict()  # error
model.predict(None)  # error
model.predict(x).shap  # error
model.evaluate(x, y, return_dict="yes")  # error
model.evaluate(x, y, return_dict=True).loss  # error
model.train_on_batch(x)  # error
model.state_dict()[0]  # error
model.load_state_dict([x, y])  # error
model.save()  # error
model.save(3)  # error
model.stream(batch="2").step(x)  # error
nn.load(3)  # error
model.sumary()  # error

# Losses, metrics, optimizers, schedules, initial weights, callbacks.
nn.losses.Huber(beta=1.0)  # error
nn.losses.Huber(delta="1")  # error
nn.losses.MeanSquaredError(reduction="average")  # error
nn.losses.BinaryCrossentropy(logits=True)  # error
nn.losses.get("msee")  # error
nn.losses.CrossEntropyLoss()  # error
nn.metrics.F1(average="makro")  # error
nn.metrics.f1(y, y, averag="macro")  # error
nn.metrics.mae(y)  # error
nn.metrics.get("acuracy")  # error
nn.optim.Adam(learning_rate=0.1)  # error
nn.optim.Adam("0.1")  # error
nn.optim.Adam(betas=0.9)  # error
nn.optim.SGD(momentm=0.9)  # error
nn.optim.SGD(clip_nrom=1.0)  # error
nn.optim.LBFGS(lr=0.9)  # error
nn.optim.SGD().lr = "0.1"  # error
nn.optim.SGD().momentun  # error
nn.schedules.Cosine(0.1)  # error
nn.schedules.Cosine(0.1, T_max=5)  # error
nn.schedules.OneCycle(0.1, 10, anneal_strategy="sin")  # error
nn.init.he_normal(mode="fan_both")  # error
nn.init.gain("swish")  # error
nn.init.get("he")  # error
nn.callbacks.EarlyStopping(patiense=3)  # error
nn.callbacks.EarlyStopping(mode="smallest")  # error
nn.callbacks.ModelCheckpoint()  # error
nn.callbacks.ModelCheckpoint("m.safetensors", save_freq="batch")  # error
nn.callbacks.StopAtTarget("loss")  # error
nn.callbacks.LambdaCallback(on_epoch_ende=print)  # error
nn.set_num_threads("2")  # error


# Data.
nn.pad_sequences([[1]], padding="left")  # error
nn.make_windows([1, 2, 3])  # error
nn.make_windows([1, 2, 3], 2, stride="1")  # error
model.fit([[1.0]], [1.0], validation="first")  # error


# Parts of one's own.
class Wrong(nn.PythonLayer):
    def backward(self, dy: Any) -> Any:  # error
        return dy

    def output_shape(self, input_shape: Any) -> str:  # error
        return "same"


class Late(nn.callbacks.Callback):
    def on_epoch_end(self, epoch: str, logs: Any = None) -> None:  # error
        print(epoch)


class NoGradient:
    def value(self, y_true: Any, y_pred: Any) -> Any:
        return y_true - y_pred


def only_losses(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float(np.abs(y_true - y_pred).mean())


model.compile(loss=NoGradient(), optimizer="adam")  # error
model.compile(loss=only_losses, optimizer="adam")  # error
model.compile(loss="mse", optimizer=nn.optim.SGD(lr=lambda: 0.1))  # error
nn.check_gradients(model)  # error
