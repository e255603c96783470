"""Losses, metrics, optimizers, schedules, initial weights and callbacks, by name and as objects."""

import tempfile
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import nncore as nn

rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 5)), rng.normal(size=(60, 2))
model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2), seed=0)

# Losses.
model.compile(loss="mse", optimizer="adam")
model.compile("mean_squared_error", "sgd", ["mae", "r2"])
model.compile(loss=nn.losses.Huber(delta=2), optimizer=nn.optim.SGD(lr=0.1, momentum=0.9, nesterov=True), metrics=("rmse",))
model.compile(loss=["mse"], optimizer="rmsprop", metrics=[["mae"]])
model.compile(loss="mse", optimizer="sgd", metrics=["huber", nn.losses.Poisson()], weighted_metrics=["mae"])
model.compile(loss="mse", optimizer="sgd", metrics=[["mse"], None], weighted_metrics={"output": ["mae", "r2"]})
model.compile(loss={"output": "mae"}, optimizer="adamw", metrics={"output": ["mse"]}, loss_weights={"output": 2.0}, l1=0.0, l2=1e-4)
losses: list[nn.losses.Loss] = [
    nn.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
    nn.losses.CategoricalCrossentropy(reduction="sum"),
    nn.losses.SparseCategoricalCrossentropy(from_logits=True),
    nn.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
    nn.losses.KLDivergence(),
    nn.losses.Hinge(),
    nn.losses.BinaryCrossentropy(from_logits=True, pos_weight=[1.0, 2.0]),
    nn.losses.SparseCategoricalCrossentropy(ignore_index=-100),
    nn.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.3, gamma=1.0),
    nn.losses.CategoricalFocalCrossentropy(alpha=[0.2, 0.8]),
    nn.losses.SparseCategoricalFocalCrossentropy(gamma=1.5, ignore_index=0),
    nn.losses.Quantile([0.1, 0.9]),
    nn.losses.GaussianNLL(log_variance=False, full=True),
    nn.losses.SquaredHinge(),
    nn.losses.LogCosh(),
    nn.losses.CosineSimilarity(),
    nn.losses.MeanSquaredLogarithmicError(reduction="sum"),
    nn.losses.get("poisson"),
]
names: list[nn.losses.LossName] = ["mse", "mae", "huber", "msle", "log_cosh", "pinball", "gaussian_nll"]
for name in names:
    model.compile(loss=name, optimizer="adam", check_finite=True)
print(round(nn.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]), 4))
assert_type(nn.losses.Huber().gradient(y, y), np.ndarray)

# Metrics.
model.compile(loss="mse", optimizer="adam", metrics=["mae", nn.metrics.R2(), nn.metrics.rmse, nn.metrics.MAPE])
model.compile(
    loss="mse", optimizer="adam", metrics=["poisson", nn.losses.Huber(), nn.metrics.LossMetric(nn.losses.Huber(), "close")]
)
decided = [0, 1, 1, 0]
assert_type(nn.metrics.accuracy(decided, [0, 1, 0, 0], threshold=0.5), float)
assert_type(nn.metrics.f1(decided, [0, 1, 0, 0], average="macro"), float)
assert_type(nn.metrics.recall(decided, [0, 1, 0, 0], average=None), np.ndarray)
assert_type(nn.metrics.fbeta(decided, [0, 1, 0, 0], beta=2, average=None), np.ndarray)
assert_type(nn.metrics.average_precision(decided, [0.1, 0.9, 0.4, 0.2], pos_label=1), float)
assert_type(
    nn.metrics.accuracy(decided, decided, subset=True) + nn.metrics.balanced_accuracy(decided, decided, adjusted=True), float
)
assert_type(nn.metrics.matthews_correlation(decided, decided) + nn.metrics.log_loss(decided, [0.1, 0.9, 0.4, 0.2]), float)
assert_type(nn.metrics.f1(["no", "yes"], ["yes", "yes"], pos_label="yes"), float)
assert_type(nn.metrics.confusion_matrix(decided, [0, 1, 0, 0]), np.ndarray)
assert_type(nn.metrics.mae(y, model.predict(x)), float)
assert_type(nn.metrics.roc_auc(decided, [0.1, 0.9, 0.4, 0.2], sample_weight=[1, 1, 2, 1]), float)
print(nn.metrics.F1(average="macro", name="f1_macro")([0, 1, 2, 2], [0, 1, 2, 0]), nn.metrics.Precision(threshold=0.7).name)

# Optimizers.
rules: list[nn.optim.Optimizer] = [
    nn.optim.Adam(1e-3, betas=(0.9, 0.99), eps=1e-7, weight_decay=0.1, amsgrad=True, clip_norm=1.0),
    nn.optim.AdamW(lr=1e-3, groups=[{"params": ["*.bias", "BatchNorm1d.*"], "weight_decay": 0}, {"params": "0.*", "lr": 1e-4}]),
    nn.optim.RMSprop(lr=1e-3, centered=True, momentum=0.5, clip_value=0.5),
    nn.optim.Adagrad(lr_decay=0.1),
    nn.optim.Adadelta(rho=0.8),
    nn.optim.Adamax(),
    nn.optim.NAdam(decoupled_weight_decay=True),
    nn.optim.RAdam(),
    nn.optim.Lion(betas=(0.9, 0.99), clip_norm_each=1.0),
    nn.optim.Rprop(etas=(0.5, 1.2), step_sizes=(1e-6, 10)),
    nn.optim.LBFGS(history_size=5, groups=[{"params": "*.bias", "l2": 1e-4}]),
    nn.optim.get("adam"),
]
sgd = nn.optim.SGD(lr=0.1, ema_momentum=0.99)
sgd.lr = sgd.lr / 2
sgd.learning_rate = 0.05
sgd.lr = nn.schedules.Cosine(0.1, total_steps=100)
print(sgd.momentum, sgd.nesterov, sgd.weight_decay, sgd.config())
model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.01))
model.optimizer.lr = model.optimizer.lr * 0.5

# Schedules.
schedules: list[nn.schedules.Schedule] = [
    nn.schedules.Warmup(nn.schedules.Cosine(3e-3, total_steps=400, min_lr=1e-5), steps=20, start_factor=0.1),
    nn.schedules.OneCycle(1.0, total_steps=100, anneal_strategy="linear", three_phase=True),
    nn.schedules.PerEpoch(lambda epoch: 0.1 / (1 + epoch), steps_per_epoch=7),
    nn.schedules.StepDecay(1.0, step_size=10),
    nn.schedules.MultiStep(1.0, milestones=[10, 30]),
    nn.schedules.Exponential(1.0, gamma=0.9),
    nn.schedules.Polynomial(1.0, total_steps=10, power=2),
    nn.schedules.InverseScaling(1.0),
    nn.schedules.CosineRestarts(1.0, period=10, factor=2),
    nn.schedules.Constant(1.0, factor=0.1, total_steps=10),
    nn.schedules.Cyclic(0.1, 1.0, step_size_up=4, mode="exp_range", gamma=0.99),
    nn.schedules.Sequential([0.1, nn.schedules.Cosine(1.0, total_steps=10)], milestones=[5]),
    nn.schedules.Chained([nn.schedules.Cosine(1.0, total_steps=10), lambda step: 0.9**step]),
    lambda step: 0.1 * 0.5**step,
]
for schedule in schedules:
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=schedule))
    assert_type(schedule(0), float)


def my_rate(step: int) -> float:
    return 0.1 / (1 + step)


model.compile(loss="mse", optimizer=nn.optim.SGD(lr=my_rate))


# Initial weights.
def small(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.normal(0.0, 1e-3, shape)


scheme: nn.init.InitSpec = "orthogonal"
nn.Linear(3, 2, weight_init=small, bias_init=nn.init.zeros)
nn.Linear(3, 2, weight_init=scheme)
nn.Linear(3, 2, weight_init=nn.init.VarianceScaling(scale=1.0, mode="fan_avg", distribution="uniform"))
nn.Linear(3, 2, weight_init=nn.init.truncated_normal(std=0.1, a=-0.2, b=0.2))
assert_type(nn.init.gain("tanh"), float)
assert_type(nn.init.fans((3, 2)), tuple[int, int])
assert_type(nn.init.draw("ones", (2, 2), rng), np.ndarray)


# Callbacks.
class Writer:
    def add_scalar(self, tag: str, value: float, step: int) -> None:
        print(tag, value, step)


def report(epoch: int, logs: dict[str, Any] | None) -> None:
    print(epoch, logs)


stopping = nn.callbacks.EarlyStopping(monitor="val_loss", patience=5, mode="min", restore_best_weights=True)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder)
    history = model.fit(
        x,
        y,
        epochs=2,
        verbose=0,
        validation_split=0.2,
        callbacks=[
            stopping,
            nn.callbacks.LossTolerance(tol=1e-4, n_iter_no_change=10),
            nn.callbacks.StopAtTarget("loss", 1e-9, mode="min"),
            nn.callbacks.TimeLimit(3600),
            nn.callbacks.TerminateOnNaN(),
            nn.callbacks.CSVLogger(path / "log.csv", separator=";"),
            nn.callbacks.ModelCheckpoint(path / "{epoch}.safetensors", save_best_only=True, save_freq="epoch"),
            nn.callbacks.TensorBoard(Writer(), update_freq="epoch"),
            nn.callbacks.LambdaCallback(on_epoch_end=report, on_train_end=lambda logs: print(logs)),
            nn.callbacks.Diagnostics(every=10),
        ],
    )
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.01))
    model.fit(
        x,
        y,
        epochs=2,
        verbose=0,
        callbacks=[
            nn.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2),
            nn.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=5),
            nn.callbacks.BackupAndRestore(path / "backup.safetensors"),
        ],
    )
    model.fit(x, y, epochs=1, verbose=0, callbacks=nn.callbacks.TerminateOnNaN())
print(stopping.best, stopping.stopped_epoch, history.history.keys())
