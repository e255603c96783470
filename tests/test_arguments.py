"""Wrong arguments of constructors: each is refused where the object is made, by an error that names it; or what comes out works."""

import abc
import inspect

import functions
import numpy as np
import pytest
from constructors import CONSTRUCTORS, INNER, NEEDED, WRONG, arguments, make, needed, outcome, use

import nncore as nn
from nncore.errors import ArgumentError, NncoreError, SizeError


@pytest.mark.parametrize("constructor", CONSTRUCTORS, ids=lambda c: c.__name__)
def test_wrong_values_are_refused_by_name_or_work(constructor, tmp_path, capsys):
    wrong = []
    for name in arguments(constructor):
        for shown, value in WRONG.items():
            found = outcome(constructor, name, value, tmp_path)
            if found not in ("refused", "works"):
                wrong.append(f"{constructor.__name__}({name}={shown}): {found}")
    assert not wrong, "\n".join(wrong)


def test_the_sweep_sees_what_it_is_for(tmp_path):
    """A constructor without checks is noticed: it raises something bare, fails late, or does not name the argument."""

    def bare(gain):
        return nn.init.Normal(0.0, 1.0 / gain)

    def late(gain):
        return lambda shape, rng: np.full(shape, gain / 2)

    def silent(gain):
        raise ArgumentError("something is wrong")

    assert outcome(bare, "gain", 0, tmp_path).startswith("bare ZeroDivisionError")
    assert outcome(late, "gain", "x", tmp_path).startswith("late and bare TypeError")
    assert outcome(silent, "gain", 1.0, tmp_path).startswith("does not name the argument")


def test_every_constructor_is_swept():
    """Whatever `__all__` offers is in the table, or is a base that nobody makes objects of."""
    names = {each.__name__ for each in CONSTRUCTORS}
    assert {"Linear", "LSTM", "Concatenate", "Adam", "LBFGS", "Huber", "F1", "RocAuc", "EarlyStopping", "Cosine"} <= names
    assert {"VarianceScaling", "he_uniform", "TensorBoard", "BackupAndRestore", "PythonMetric", "Lambda"} <= names
    assert {name.partition(".")[2] or name for name in NEEDED} <= names
    for constructor in CONSTRUCTORS:
        use(make(constructor)) if not issubclass_of(constructor, nn.callbacks.Callback) else make(constructor)


def issubclass_of(constructor, base):
    return isinstance(constructor, type) and issubclass(constructor, base)


@pytest.mark.parametrize("constructor", CONSTRUCTORS, ids=lambda c: c.__name__)
def test_scalars_of_numpy_count_as_the_numbers_they_are(constructor):
    """For every number or truth value that an argument has by default, NumPy's scalar of it gives the same object."""
    is_class = isinstance(constructor, type)
    parameters = inspect.signature(constructor.__init__ if is_class else constructor).parameters
    for name, parameter in parameters.items():
        value = needed(constructor).get(name, parameter.default)
        numpy = {bool: (np.bool_, np.array), int: (np.int64, np.uint8, np.array), float: (np.float32, np.array)}
        kinds = numpy.get(type(value), ())
        for kind in kinds:
            if type(value) is int and not 0 <= value < 256 and kind is np.uint8:
                continue
            made, plain = make(constructor, **{name: kind(value)}), make(constructor, **{name: kind(value).item()})
            config = made.config() if hasattr(made, "config") else vars(made)
            if name in config:
                assert not isinstance(config[name], np.generic | np.ndarray), name
                assert config[name] == (plain.config() if hasattr(plain, "config") else vars(plain))[name]
            if not isinstance(made, nn.callbacks.Callback):  # they have the repr that every object has
                assert repr(made) == repr(plain)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.ReLU(negative_slope=0.2), r"ReLU takes no argument 'negative_slope'; LeakyReLU has it\. It takes name\."),
        (lambda: nn.Sigmoid(trainable="no"), r"Sigmoid takes no argument 'trainable'; .*BatchNorm1d.* have it"),
        (lambda: nn.ReLU(0.2), "ReLU takes no argument by position, not 1"),
        (
            lambda: nn.Linear(2, 3, baias=True),
            r"Linear takes no argument 'baias'; did you mean 'bias'\? It takes in_features, out_",
        ),
        (lambda: nn.Linear(2), r"Linear needs out_features\. It takes in_features"),
        (lambda: nn.Linear(2, 3, True, 0.1), "Linear takes at most 3 arguments by position, not 4"),
        (lambda: nn.Linear(2, 3, activation="relu"), "here it is a layer of its own behind this one"),
        (lambda: nn.Dropout(rate=0.2), "Dropout takes no argument 'rate'; here it is p of Dropout"),
        (lambda: nn.LSTM(2, 3, nonlinearity="relu"), "LSTM takes no argument 'nonlinearity'; RNN has it"),
        (lambda: nn.Add(axis=1), "Add takes no argument 'axis'; BatchNorm1d, Concatenate, Slice, Take have it"),
        (lambda: nn.optim.Adam(learning_rate=0.1), "Adam takes no argument 'learning_rate'; here it is lr"),
        (lambda: nn.optim.SGD(momentm=0.9), r"SGD takes no argument 'momentm'; did you mean 'momentum'"),
        (lambda: nn.optim.LBFGS(lr=0.9), "LBFGS takes no argument 'lr'"),
        (lambda: nn.losses.MeanSquaredError(delta=1.0), "MeanSquaredError takes no argument 'delta'; Huber has it"),
        (lambda: nn.metrics.f1([0, 1], [0, 1], averag="macro"), "f1 takes no argument 'averag'; did you mean 'average'"),
        (lambda: nn.schedules.Cosine(0.1, T_max=5), "Cosine takes no argument 'T_max'; here it is total_steps"),
        (lambda: nn.schedules.Cosine(0.1), "Cosine needs total_steps"),
        (lambda: nn.callbacks.EarlyStopping(patiense=3), "EarlyStopping takes no argument 'patiense'; did you mean 'patience'"),
        (lambda: nn.init.Normal(stddev=1.0), "Normal takes no argument 'stddev'; here it is std"),
        (lambda: nn.Layer(size=3), "Layer takes no argument 'size'"),
    ],
)
def test_unknown_arguments(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_unknown_arguments_of_classes_of_ones_own():
    class Scale(nn.PythonLayer):
        def __init__(self, start=1.0):
            super().__init__(start=start)

        def forward(self, x):
            return x

    class Plain(nn.PythonLayer):
        def forward(self, x):
            return x

    class Distance(nn.losses.PythonLoss):
        def value_and_gradient(self, y_true, y_pred):
            return abs(y_pred - y_true).sum(axis=1), np.sign(y_pred - y_true)

    class Watch(nn.callbacks.Callback, abc.ABC):
        def __init__(self, freq):
            self.freq = freq

    class Broken(nn.callbacks.Callback):
        def __init__(self):
            len(3)  # type: ignore[arg-type]

    for call, message in (
        (lambda: Scale(star=2.0), r"Scale takes no argument 'star'; did you mean 'start'\?"),
        (lambda: Plain(start=2.0), "Plain takes no argument 'start'"),
        (lambda: Distance(scale=2.0), "Distance takes no argument 'scale'"),
        (lambda: Watch(), "Watch needs freq"),
        (lambda: Watch(1, 2), "Watch takes at most 1 arguments by position, not 2"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
    assert Scale(start=2.0, name="s").name == "s"
    assert Watch(3).freq == 3
    with pytest.raises(TypeError, match="has no len") as caught:  # an error of the constructor itself stays what it is
        Broken()
    assert not isinstance(caught.value, NncoreError)


def test_every_layer_shows_its_name_and_takes_it():
    for name in nn.layers.__all__:
        cls = getattr(nn.layers, name)
        if isinstance(cls, type) and issubclass(cls, nn.Layer):
            for shown in (inspect.signature(cls), inspect.signature(cls.__init__)):
                assert shown.parameters["name"].kind is inspect.Parameter.KEYWORD_ONLY
                assert shown.parameters["name"].default is None

    class Silent(nn.PythonLayer):
        def __init__(self, units):
            super().__init__(units=units)

    class Passing(nn.PythonLayer):
        def __init__(self, units, name=None):
            super().__init__(units=units, name=name and name.upper())

    class Forgetful(nn.Layer):
        def __init__(self, units, *, name=None):
            super().__init__(units=units)

    class Open(nn.PythonLayer):
        def __init__(self, **options):
            super().__init__(**options)

    for cls, found in ((Silent, "a"), (Passing, "A"), (Forgetful, "a"), (Open, "a")):
        layer = cls(units=3, name="a")
        assert (layer.name, layer.config(), cls(units=3).name) == (found, {"units": 3}, None)
        assert [*inspect.signature(cls).parameters].count("name") == 1
        with pytest.raises(ArgumentError, match="name must be text"):
            cls(units=3, name="a.b")


def test_what_every_layer_takes_is_checked_everywhere():
    class Mine(nn.PythonLayer):
        def __init__(self, trainable=True):
            super().__init__(trainable=trainable)

    with pytest.raises(ArgumentError, match="Mine: trainable must be True or False, not 'no'"):
        Mine(trainable="no")
    for layer in (nn.ReLU(), nn.Linear(2, 3), nn.Dropout()):
        with pytest.raises(ArgumentError, match="trainable must be True or False"):
            layer.trainable = "no"
        with pytest.raises(ArgumentError, match="name must be text"):
            layer.name = 3
    with pytest.raises(ArgumentError, match="Linear: l1 must be a finite number of at least 0"):
        nn.Linear(2, 3).l1 = float("nan")


def test_messages_stay_short():
    for value in (list(range(10**6)), "x" * 10**6, np.zeros((1000, 1000)), {i: i for i in range(10**5)}):
        with pytest.raises(NncoreError) as caught:
            nn.Linear(value, 3)
        assert len(str(caught.value)) < 600
    with pytest.raises(SizeError, match="a whole number of 16610 bits"):
        nn.Linear(10**5000, 3)


@pytest.mark.parametrize("rate", [lambda step: "x", lambda step: None, lambda step: [0.1], lambda step: -1.0, lambda step: 10**400])
def test_a_schedule_that_gives_no_rate(rate):
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=rate))
    before = model.state_dict()
    with pytest.raises(ArgumentError, match="the schedule .* gave"):
        model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert model.step == 0


@pytest.mark.parametrize(("name", "function"), functions.functions(), ids=lambda each: each if isinstance(each, str) else "")
def test_wrong_arguments_of_functions_are_refused_by_typed_errors_or_work(name, function, capsys):
    wrong, threads = [], nn.get_num_threads()
    try:
        functions.call(name, function, {})
    except OSError:
        assert name in ("from_onnx", "load")
    except ArgumentError:
        assert name == "from_torch"  # a module of PyTorch is right, which need not be installed
    for argument in functions.arguments(function):
        for shown, value in WRONG.items():
            try:
                functions.call(name, function, {argument: value})
            except (NncoreError, OSError) as error:
                if INNER.search(str(error)):
                    wrong.append(f"{name}({argument}={shown}) names inner parts: {error}")
                if isinstance(error, OSError) and not isinstance(error, NncoreError) and argument != "path" and name != "load":
                    wrong.append(f"{name}({argument}={shown}): {type(error).__name__}: {error}")
            except Exception as error:
                wrong.append(f"{name}({argument}={shown}): {type(error).__name__}: {error}")
            finally:
                nn.set_num_threads(threads)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("loss", [each for each in CONSTRUCTORS if issubclass_of(each, nn.losses.Loss)], ids=lambda c: c.__name__)
def test_wrong_data_for_a_loss_by_itself(loss):
    made, wrong = make(loss), []
    y_true = {"classes": [0, 1, 2], "one_hot": np.eye(3)}.get(made.targets, np.ones((3, 4)))
    right = {"y_true": y_true, "y_pred": np.full((3, 3 if made.targets in ("classes", "one_hot") else 4), 0.25)}
    for argument in ("y_true", "y_pred", "sample_weight"):
        for shown, value in WRONG.items():
            for call in (made, made.gradient):
                try:
                    call(**{**right, argument: value})
                except NncoreError:
                    pass
                except Exception as error:
                    wrong.append(f"{argument}={shown}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
