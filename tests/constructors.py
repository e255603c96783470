"""Every public constructor with everything it takes: what a test of wrong arguments goes through, and how what it gives is used."""

import inspect
import os
import pathlib
import re
import warnings

import numpy as np

import nncore as nn


class Unprintable:
    """An object that not even a message can show."""

    def __repr__(self):
        raise RuntimeError("no repr")


#: Names of parts that no user knows. Messages do not have them.
INNER = re.compile(
    r"ModelCore|\bPlan\b|nncore\._core|\bTrainer\b|\bConfiguration\b|\bNetwork\b|Watcher|_Given|\bSums\b|incorrect type"
)

#: Values that are hardly ever meant, by the name under which a failure shows them.
WRONG = {
    "None": None,
    "'x'": "x",
    "''": "",
    "b''": b"",
    "[]": [],
    "{}": {},
    "object()": object(),
    "unprintable": Unprintable(),
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": -float("inf"),
    "-1": -1,
    "0": 0,
    "2**70": 2**70,
    "10**5000": 10**5000,
    "1e300": 1e300,
    "1j": 1j,
    "True": True,
    "zeros(0)": np.zeros(0),
    "ones(2)": np.ones(2),
    "int": int,
    "lambda: 0": lambda: 0,
    "float32(nan)": np.float32("nan"),
    "int64(-3)": np.int64(-3),
    "complex64(1)": np.complex64(1),
    "str_('x')": np.str_("x"),
    "datetime64": np.datetime64("2020-01-01"),
    "('a', 'b')": ("a", "b"),
    "(nan, nan)": (float("nan"), float("nan")),
    "[None]": [None],
    "'1'": "1",
    "b'1'": b"1",
}

#: What a constructor cannot do without.
NEEDED = {
    "Linear": {"in_features": 4, "out_features": 3},
    "Maxout": {"in_features": 4, "out_features": 3},
    "Embedding": {"num_embeddings": 5, "embedding_dim": 2},
    "BatchNorm1d": {"num_features": 4},
    "LayerNorm": {"normalized_shape": 4},
    "RNN": {"input_size": 4, "hidden_size": 3},
    "GRU": {"input_size": 4, "hidden_size": 3},
    "LSTM": {"input_size": 4, "hidden_size": 3},
    "GaussianNoise": {"stddev": 0.1},
    "Rescaling": {"scale": 2.0},
    "Reshape": {"shape": (2, 2)},
    "Threshold": {"threshold": 0.1, "value": 0.0},
    "Permute": {"dims": 1},
    "RepeatVector": {"n": 2},
    "Slice": {"start": 1, "stop": 3},
    "Take": {"indices": [1, 0]},
    "Lambda": {"forward": lambda x: x * 1, "backward": lambda dy, x, y: dy},
    "OneCycle": {"max_lr": 0.1, "total_steps": 10},
    "Warmup": {"schedule": 0.1, "steps": 3},
    "PerEpoch": {"schedule": 0.1, "steps_per_epoch": 3},
    "schedules.Constant": {"lr": 0.1},
    "Cyclic": {"base_lr": 0.1, "max_lr": 0.2},
    "Sequential": {"schedules": [0.1, 0.2], "milestones": [3]},
    "Chained": {"schedules": [0.1]},
    "StepDecay": {"lr": 0.1, "step_size": 3},
    "MultiStep": {"lr": 0.1, "milestones": [2, 4]},
    "Exponential": {"lr": 0.1, "gamma": 0.9},
    "Polynomial": {"lr": 0.1, "total_steps": 10},
    "InverseScaling": {"lr": 0.1},
    "Cosine": {"lr": 0.1, "total_steps": 10},
    "CosineRestarts": {"lr": 0.1, "period": 10},
    "PythonMetric": {"given": lambda y, p: 0.0},
    "LossMetric": {"loss": nn.losses.Huber()},
    "StopAtTarget": {"monitor": "loss", "target": 0.1},
    "TimeLimit": {"seconds": 10.0},
    "ModelCheckpoint": {"filepath": "m.safetensors", "monitor": "loss"},
    "BackupAndRestore": {"path": "b.safetensors"},
    "CSVLogger": {"filename": "log.csv"},
    "LearningRateScheduler": {"schedule": lambda epoch: 0.1},
    "EarlyStopping": {"monitor": "loss"},
    "ReduceLROnPlateau": {"monitor": "loss"},
}

#: Arguments that only the data can tell to be wrong: a dimension that there is not, a quantity that nobody logs, a file name.
TOLD_BY_DATA = {"dim", "axis", "start_dim", "end_dim", "output_shape", "mode", "monitor", "filepath", "pos_label"}
TOLD_BY_DATA |= {"Slice.start", "Slice.stop", "Slice.step"}  # of which only the size tells whether anything is left
TOLD_BY_DATA |= {"gamma"}  # by which a rate grows, too large for a float after so many steps
TOLD_BY_DATA |= {"pos_weight", "quantile"}  # one number for each column
TOLD_BY_DATA |= {f"{name}FocalCrossentropy.alpha" for name in ("Categorical", "SparseCategorical")}
#: And what starts too large for float32, which the dtype of the model decides.
STARTS = {"init", "scale", "gain", "low", "high", "mean", "std", "a", "b", "value"}


class Writer:
    """A SummaryWriter that writes nothing."""

    def add_scalar(self, tag, value, step):
        pass


NEEDED["TensorBoard"] = {"writer": Writer()}

_ABSTRACT = {"Layer", "Activation", "Merge", "Recurrent", "PythonLayer", "Rectifier", "RowActivation", "Regularized", "Initializer"}
_ABSTRACT |= {"Optimizer", "Loss", "PythonLoss", "Metric", "Callback", "LearningRateSchedule"}
_ABSTRACT |= {"LambdaCallback"}  # its arguments are the names of the hooks


def _classes(module, base):
    found = [getattr(module, name) for name in module.__all__]
    return [each for each in found if isinstance(each, type) and issubclass(each, base) and each.__name__ not in _ABSTRACT]


def _schemes():
    return [scheme for scheme in dict.fromkeys(nn.init.SCHEMES.values()) if not isinstance(scheme, type)]


CONSTRUCTORS = [
    *_classes(nn.layers, nn.Layer),
    *_classes(nn.optim, nn.optim.Optimizer),
    *_classes(nn.losses, nn.losses.Loss),
    *_classes(nn.metrics, nn.metrics.Metric),
    *_classes(nn.callbacks, nn.callbacks.Callback),
    *_classes(nn.schedules, nn.schedules.LearningRateSchedule),
    *_classes(nn.init, nn.init.Initializer),
    *_schemes(),
]


def arguments(constructor):
    """Return the names of what a constructor takes, ``**options`` included."""
    wraps = isinstance(constructor, type)
    found = list(inspect.signature(constructor.__init__ if wraps else constructor).parameters.values())[1 if wraps else 0 :]
    names = [p.name for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if any(p.kind is p.VAR_KEYWORD for p in found) and issubclass(constructor, nn.optim.Optimizer):
        names += ["clip_norm", "clip_norm_each", "clip_value", "ema_momentum", "groups"]
    return names


def needed(constructor):
    """Return what a constructor cannot do without. Two packages may have classes of one name."""
    name = constructor.__name__
    return NEEDED.get(f"{constructor.__module__.split('.')[1]}.{name}", NEEDED.get(name, {}))


def make(constructor, **given):
    """Call a constructor with what it needs, and what is given."""
    return constructor(**{**needed(constructor), **given})


def use(made):
    """Do one step of training with what a constructor gave."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(made, nn.Layer):
            _use_layer(made)
        elif isinstance(made, nn.optim.Optimizer):
            _train(nn.Sequential(nn.Linear(4, 3), seed=0), optimizer=made)
        elif isinstance(made, nn.losses.Loss):
            if made.reduction == "none":  # for calls alone
                return
            if made.targets in ("one_hot", "classes"):
                y = np.array([0, 1, 2, 0]) if made.targets == "classes" else np.eye(3)[[0, 1, 2, 0]]
            else:
                y = np.array([[0.0, 1.0, 1.0]] * 4)
            width = 6 if made.targets == "halved" else 3
            _train(nn.Sequential(nn.Linear(4, width), nn.Softmax(), seed=0), loss=made, y=y)
        elif isinstance(made, nn.metrics.Metric):
            binary = made.of_classes
            model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid(), seed=0)
            _train(model, loss="binary_crossentropy" if binary else "mse", y=np.array([[0.0], [1.0]] * 2), metrics=[made])
        elif isinstance(made, nn.callbacks.Callback):
            _train(nn.Sequential(nn.Linear(4, 3), seed=0), callbacks=[made])
        elif isinstance(made, nn.schedules.LearningRateSchedule):
            _train(nn.Sequential(nn.Linear(4, 3), seed=0), optimizer=nn.optim.SGD(lr=made))
        else:
            _train(nn.Sequential(nn.Linear(4, 3, weight_init=made), seed=0))


def _use_layer(layer):
    if isinstance(layer, nn.Recurrent):
        if not layer.batch_first:
            layer(np.ones((5, 2, 4), np.float32))
            return
        x = nn.Input((5, 4))
        out = layer(x)
        model = nn.Model(x, out[0] if isinstance(out, tuple) else out, seed=0)
        _train(model, x=np.ones((4, 5, 4), np.float32), shuffle=False)
    elif isinstance(layer, nn.layers.merge.Merge):
        a, b = nn.Input((4,)), nn.Input((4,))
        _train(nn.Model([a, b], layer([a, b]), seed=0), x=[np.ones((4, 4), np.float32)] * 2)
    elif isinstance(layer, nn.layers.pooling.Pooling):
        _train(nn.Sequential(layer, seed=0).build((5, 4)), x=np.ones((4, 5, 4), np.float32))
    elif isinstance(layer, nn.Embedding):
        _train(nn.Sequential(layer, seed=0).build((1,)), x=np.ones((4, 1), np.float32))
    elif isinstance(layer, nn.Reshape | nn.Flatten):
        _train(nn.Sequential(nn.Linear(4, 4), layer, seed=0).build((4,)))
    else:
        _train(nn.Sequential(layer, seed=0).build((4,)))


def _train(model, loss="mse", optimizer="sgd", metrics=(), x=None, y=None, callbacks=(), shuffle=True):
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4) if x is None else x
    y = np.zeros((4, *model.output_shapes[0]), np.float32) if y is None else y
    model.compile(loss=loss, optimizer=optimizer, metrics=list(metrics))
    if not model.optimizer.full_batch:
        model.train_on_batch(x, y)
    model.fit(x, y, batch_size=2, epochs=2, shuffle=shuffle, callbacks=list(callbacks), verbose=0)


def outcome(constructor, name, value, folder):
    """Return what a wrong argument leads to: "refused", "works", or what is wrong with how it was taken."""
    here = pathlib.Path.cwd()
    os.chdir(folder)
    try:
        try:
            made = make(constructor, **{name: value})
        except nn.errors.NncoreError as error:
            if INNER.search(str(error)):
                return f"names inner parts: {error}"
            return "refused" if name in str(error) else f"does not name the argument: {type(error).__name__}: {error}"
        except Exception as error:
            return f"bare {type(error).__name__}: {error}"
        try:
            use(made)
        except nn.errors.NncoreError as error:
            too_large = isinstance(error, nn.errors.NonFiniteError) and name in STARTS
            told = {name, f"{constructor.__name__}.{name}"} & TOLD_BY_DATA
            return "works" if told or too_large else f"late {type(error).__name__}: {error}"
        except Exception as error:
            return f"late and bare {type(error).__name__}: {error}"
        return "works"
    finally:
        os.chdir(here)
