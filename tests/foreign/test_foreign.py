"""Names of PyTorch, Keras and scikit-learn: each is accepted, or the message says what it is called here."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest

import nncore as nn
from nncore import errors
from nncore._declarations import Elsewhere
from nncore.foreign import arguments, attributes, methods, objects, words

FAMILIES = [nn, nn.layers, nn.losses, nn.optim, nn.metrics, nn.init, nn.callbacks, nn.schedules]


X, Y = np.ones((4, 3)), np.zeros((4, 2))


def model():
    return nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.LSTM(2, 2), seed=0)


def resolve(name):
    found = nn
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dense", r"module 'nncore' has no attribute 'Dense': use nn.Linear\(in_features, out_features\)"),
        ("Module", "subclass nn.PythonLayer"),
        ("CrossEntropyLoss", r"use nn.losses.SparseCategoricalCrossentropy\(from_logits=True\)"),
        ("BCELoss", r"use nn.losses.BinaryCrossentropy\(\)"),
        ("MSELoss", "use nn.losses.MeanSquaredError"),
        ("Conv1d", "nncore has no convolutions"),
        ("Conv2D", "nncore has no convolutions"),
        ("MaxPool2d", "nncore has no"),
        ("AdaptiveAvgPool1d", "use nn.GlobalAveragePooling1D"),
        ("Dropout2d", r"use nn.Dropout\(p\)"),
        ("TransformerEncoderLayer", "nncore has no attention"),
        ("Adam", "use nn.optim.Adam"),
        ("EarlyStopping", "use nn.callbacks.EarlyStopping"),
        ("BinaryCrossentropy", "use nn.losses.BinaryCrossentropy"),
        ("xavier_uniform_", "pass nn.init.xavier_uniform as weight_init of a layer; nothing is filled in place"),
        ("kaiming_normal_", "pass nn.init.kaiming_normal as weight_init"),
        ("SimpleRNN", "use nn.RNN"),
        ("Bidirectional", "bidirectional=True"),
        ("no_grad", "leave it out"),
        ("MLPClassifier", "use nn.estimators.MLPClassifier"),
        ("relu", "did you mean 'ReLU'"),
        ("Liner", "did you mean 'Linear'"),
        ("to_categorical", "class indices"),
        ("TripletMarginLoss", "a function of y_true and y_pred that returns loss and gradient can be a loss"),
        ("explained_variance_score", "pass a function of y_true and y_pred in metrics="),
        ("SwapEMAWeights", "ema_momentum= of the optimizer"),
        ("zzz", "module 'nncore' has no attribute 'zzz'$"),
        ("__wrapped__", "module 'nncore' has no attribute '__wrapped__'$"),
    ],
)
def test_names_asked_of_nn(name, text):
    with pytest.raises(AttributeError, match=text) as caught:
        getattr(nn, name)
    assert isinstance(caught.value, errors.UnknownAttributeError)
    assert not hasattr(nn, name)


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        ("losses", "BCEWithLogitsLoss", r"'nncore.losses' has no attribute .*BinaryCrossentropy\(from_logits=True\)"),
        ("losses", "mse", "use nn.losses.MeanSquaredError"),
        ("losses", "MeanSquareError", "did you mean 'MeanSquaredError'"),
        ("optim", "lr_scheduler", "use nn.schedules"),
        ("metrics", "AUC", r"use nn.metrics.RocAuc"),
        ("metrics", "MeanSquaredError", r"use nn.metrics.MSE"),
        ("init", "zeros_", "pass nn.init.zeros as weight_init"),
        ("init", "GlorotUniform", "use nn.init.xavier_uniform"),
        ("schedules", "StepLR", "use nn.schedules.StepDecay"),
        ("schedules", "CosineDecay", "use nn.schedules.Cosine"),
        ("callbacks", "LRScheduler", "use nn.callbacks.LearningRateScheduler"),
        ("layers", "Dense", "use nn.Linear"),
        ("optim", "Admw", "did you mean 'AdamW'"),
    ],
)
def test_names_asked_of_modules(module, name, text):
    with pytest.raises(AttributeError, match=text):
        getattr(getattr(nn, module), name)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("loss", "cross_entropy", "sparse_categorical_crossentropy"),
        ("loss", "CrossEntropyLoss", "sparse_categorical_crossentropy"),
        ("loss", "nll", "after a LogSoftmax"),
        ("loss", "nll_loss", "after a LogSoftmax"),
        ("loss", "log_loss", "binary_crossentropy"),
        ("loss", "squared_error", '"mse"'),
        ("loss", "BCEWithLogitsLoss", "from_logits=True"),
        ("loss", "rmse", '"mse"'),
        ("optimizer", "momentum", r"nn.optim.SGD\(momentum=0.9\)"),
        ("metric", "sensitivity", '"recall"'),
        ("initializer", "xavier", '"xavier_uniform"'),
        ("initializer", "random_normal", '"normal"'),
    ],
)
def test_names_passed_as_text(kind, name, text):
    get = {"loss": nn.losses.get, "optimizer": nn.optim.get, "metric": nn.metrics.get, "initializer": nn.init.get}[kind]
    with pytest.raises(errors.UnknownNameError, match=text) as caught:
        get(name)
    assert f"unknown {kind} {name!r}; here it is" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_names_of_the_same_meaning_are_accepted():
    for here, there in (("xavier", "glorot"), ("he", "kaiming")):
        for kind in ("uniform", "normal"):
            one, two = (nn.init.draw(f"{name}_{kind}", (4, 3), np.random.default_rng(0)) for name in (here, there))
            np.testing.assert_array_equal(one, two)
            assert getattr(nn.init, f"{there}_{kind}") is getattr(nn.init, f"{here}_{kind}")
    assert nn.losses.get("l1")([0.0, 0.0], [1.0, 3.0]) == 2.0


@pytest.mark.parametrize(("get", "table"), [(nn.losses.get, nn.losses.LOSSES), (nn.optim.get, nn.optim.OPTIMIZERS)])
def test_unknown_names_list_each_object_once(get, table):
    with pytest.raises(errors.UnknownNameError, match="Known: ") as caught:
        get("zzzzz")
    listed = str(caught.value).partition("Known: ")[2].split(", ")
    assert sorted(table[name].__name__ for name in listed) == sorted({cls.__name__ for cls in table.values()})


def test_words_have_no_name_that_is_known():
    known = {
        "loss": nn.losses.LOSSES,
        "optimizer": nn.optim.OPTIMIZERS,
        "metric": nn.metrics.METRICS,
        "initializer": nn.init.SCHEMES,
    }
    assert words.NAMES.keys() == known.keys()
    for kind, table in known.items():
        assert not words.NAMES[kind].keys() & {name.lower().replace("_", "") for name in table}


@pytest.mark.parametrize(
    "table", [attributes.NAMES, methods.OF_MODELS, methods.OF_LAYERS, methods.OF_OPTIMIZERS, methods.OF_HISTORIES, arguments.NAMES]
)
def test_what_is_recommended_exists(table):
    texts = [text for each in table.values() for text in ((each,) if isinstance(each, str) else each)]
    said = " ".join(texts) + " ".join(text for each in words.NAMES.values() for text in each.values())
    for name in set(re.findall(r"nn\.\w+(?:\.\w+)?", said)):
        resolve(name)
    x = nn.Input((2,))
    for name in set(re.findall(r"model\.(\w+)", said)):
        assert hasattr(type(nn.Model(x, nn.ReLU()(x))), name) or hasattr(nn.Sequential, name), name
    for kind, get in (("loss", nn.losses.get), ("optimizer", nn.optim.get), ("metric", nn.metrics.get)):
        for text in words.NAMES[kind].values():
            for name in re.findall(r'^"(\w+)"', text):
                get(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("eval", "leave it out"),
        ("train", "leave it out"),
        ("to", "CPU"),
        ("add", "pass all layers to nn.Sequential"),
        ("predict_proba", "use predict"),
        ("predict_classes", "argmax"),
        ("fit_generator", "use fit, which takes generators"),
        ("zero_grad", "train_on_batch does a whole step"),
        ("trainable_variables", r"use model.parameters\(\)"),
        ("score", "use evaluate"),
        ("get_config", "nn.load"),
    ],
)
def test_methods_of_models(name, text):
    x = nn.Input((2,))
    for each in (model(), nn.Model(x, nn.ReLU()(x))):
        with pytest.raises(errors.UnknownAttributeError, match=f"{type(each).__name__} has no '{name}': .*{text}"):
            getattr(each, name)
        assert not hasattr(each, name)
        assert not hasattr(type(each), name)
        assert name not in dir(each)


def test_methods_of_layers_and_optimizers():
    for layer in (nn.Linear(2, 3), nn.ReLU(), nn.GRU(2, 3), nn.Lambda(np.square)):
        name = type(layer).__name__
        with pytest.raises(errors.UnknownAttributeError, match=f"{name} has no 'eval': pass training=False"):
            layer.eval()
        with pytest.raises(AttributeError, match=f"{name} has no 'get_config': use layer.config"):
            layer.get_config()
        assert "eval" not in dir(layer)
    with pytest.raises(AttributeError, match="LSTM has no 'weight': use layer.weight_ih_l0"):
        nn.LSTM(2, 3).weight  # noqa: B018 - what is asked for
    for name in ("param_groups", "zero_grad", "step", "minimize"):
        with pytest.raises(errors.UnknownAttributeError, match=f"Adam has no '{name}'"):
            getattr(nn.optim.Adam(), name)


def test_models_copy_and_pickle_and_take_attributes_of_ones_own():
    class Mine(nn.Sequential):
        device = "cpu"

        def eval(self):
            return 3

    class Scale(nn.PythonLayer):
        def __init__(self, units):
            super().__init__(units=units)

        def build(self, input_shape):
            self.add_weight("gamma", input_shape[-1], "ones")

        def forward(self, x):
            return x * self.gamma

    mine = Mine(nn.Linear(2, 3))
    assert (mine.eval(), mine.device) == (3, "cpu")
    mine.train = lambda: 5
    assert mine.train() == 5
    for again in (copy.copy(model()), copy.deepcopy(model()), pickle.loads(pickle.dumps(model()))):
        assert repr(again) == repr(model())
    scale = Scale(units=2)
    nn.Sequential(scale).build((2,))
    np.testing.assert_array_equal(scale.gamma, [1, 1])
    assert scale.units == 2
    scale.beta = 4
    assert scale.beta == 4


def test_access_to_what_exists_takes_no_detour():
    """A class with __getattr__ or __getattribute__ would be slower at every access."""
    for cls in (nn.Sequential, nn.Model, nn.Linear, nn.optim.Adam):
        assert not hasattr(cls, "__getattr__")
        assert cls.__getattribute__ is object.__getattribute__
        assert not any(isinstance(value, Elsewhere) and hasattr(value, "__set__") for value in vars(cls).values())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Linear(2, 3, activation="relu"), "here it is a layer of its own behind this one, such as nn.ReLU"),
        (lambda: nn.Linear(units=3, in_features=2), "here it is out_features"),
        (lambda: nn.LSTM(units=3, input_size=2), "hidden_size of a recurrent layer"),
        (lambda: nn.Dropout(rate=0.5), "here it is p of Dropout"),
        (lambda: nn.LeakyReLU(alpha=0.1), "here it is negative_slope"),
        (lambda: nn.BatchNorm1d(3, epsilon=1e-3), "here it is eps"),
        (lambda: nn.optim.Adam(learning_rate=0.1), "here it is lr"),
        (lambda: nn.optim.Adam(epsilon=0.1), "here it is eps"),
        (lambda: nn.optim.RMSprop(rho=0.9), "here it is alpha of RMSprop"),
        (lambda: nn.optim.SGD(params=[]), "here it is groups; the model's parameters are known"),
        (lambda: nn.optim.SGD(max_grad_norm=1.0), "here it is clip_norm"),
        (lambda: nn.losses.BinaryCrossentropy(logits=True), "here it is from_logits"),
        (lambda: nn.losses.Huber(beta=2.0), "here it is delta of Huber"),
        (lambda: nn.metrics.Precision(thresholds=0.3), "here it is threshold"),
        (lambda: nn.callbacks.EarlyStopping(monitor="loss", tol=0.1), "here it is min_delta"),
        (lambda: nn.callbacks.EarlyStopping(monitor="loss", n_iter_no_change=3), "here it is patience"),
        (lambda: nn.init.Normal(stddev=0.1), "here it is std of an initializer"),
        (lambda: nn.schedules.Cosine(0.1, T_max=10), "here it is total_steps"),
        (lambda: nn.Linear(2, 3, device="cuda"), "nncore computes on the CPU"),
        (lambda: nn.ReLU(inplace=True), "nothing to ask for"),
        (lambda: nn.LSTM(2, 3, activation="relu"), "fixed where a layer has a hidden_size: tanh"),
        (lambda: nn.Dropout(p=0.1, prob=0.2), "here it is p of Dropout"),
        (lambda: nn.losses.SparseCategoricalCrossentropy(weight=[1.0]), "class_weight or sample_weight of fit"),
        (lambda: nn.optim.Adam(model().parameters(), lr=0.1), "the model's parameters are not passed to it"),
        (lambda: nn.Sequential(nn.Linear(2, 3), random_state=0), "Sequential takes no argument 'random_state'; here it is seed"),
        (lambda: nn.Input((3,), dtype="float32"), "Input takes no argument 'dtype'; here it is a choice for the whole model"),
        (lambda: nn.load("x", compile=False), "load takes no argument 'compile'"),
    ],
)
def test_arguments(make, text):
    with pytest.raises(errors.ArgumentError, match=text):
        make()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: m.fit(X, Y, nb_epoch=3), "fit takes no argument 'nb_epoch'; here it is epochs. It takes x, y, epochs"),
        (lambda m: m.fit(X, Y, max_iter=3), "here it is epochs"),
        (lambda m: m.fit(X, Y, early_stopping=True), r"here it is one of callbacks: nn.callbacks.EarlyStopping\(\)"),
        (lambda m: m.fit(X, Y, workers=3), "here it is nothing to ask for"),
        (lambda m: m.fit(X, Y, epocs=3), "fit takes no argument 'epocs'; did you mean 'epochs'"),
        (lambda m: m.fit(), "fit needs x"),
        (lambda m: m.compile("mse", "sgd", learning_rate=0.1), "here it is lr of the optimizer"),
        (lambda m: m.compile(loss="mse"), "compile needs optimizer"),
        (lambda m: m.compile("adam", "mse"), r"'adam' is an optimizer, not a loss; use compile\(loss=..., optimizer='adam'\)"),
        (lambda m: m.compile(nn.optim.Adam(), "mse"), "compile: Adam is an optimizer, not a loss"),
        (lambda m: m.compile(nn.optim.Adam, "mse"), "compile: Adam is an optimizer, not a loss"),
        (lambda m: m.compile("mse", "mae"), "'mae' is a loss, not an optimizer"),
        (lambda m: m.compile("mse", nn.losses.Huber()), "compile: Huber is a loss, not an optimizer"),
        (lambda m: m.compile("mse", nn.optim.Adam), r"optimizer: Adam is a class; pass an object, Adam\(\)"),
        (lambda m: m.compile(nn.losses.Huber, "sgd"), r"loss: Huber is a class; pass an object, Huber\(\)"),
        (lambda m: m.evaluate(X, Y, eval_set=3), "evaluate takes no argument 'eval_set'"),
        (lambda m: m.summary(line_length=80), "summary takes no argument 'line_length'"),
        (lambda m: m.get_layer(index=0), r"a number in brackets instead of the name: model\[0\]"),
        (lambda m: m.load_weights("x", by_name=True), "here it is strict=False"),
        (lambda m: m.save("x", save_format="h5"), "save takes no argument 'save_format'"),
        (lambda m: m.load_state_dict("m.pt"), "not str; model.load_weights reads a file"),
        (lambda m: m.__setitem__(0, nn.ReLU()), "the layers are fixed when the model is made"),
        (lambda m: m.__delitem__(0), "the layers are fixed when the model is made"),
    ],
)
def test_calls_of_models(call, text):
    made = nn.Sequential(nn.Linear(3, 2), seed=0)
    made.compile("mse", "sgd")
    with pytest.raises(errors.NncoreError, match=text):
        call(made)
    assert made.step == 0


def test_errors_inside_a_call_stay_what_they_are():
    class Broken(nn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            len(3)

    made = nn.Sequential(nn.Linear(3, 2), seed=0)
    made.compile("mse", "sgd")
    with pytest.raises(TypeError, match="has no len") as caught:
        made.fit(X, Y, callbacks=[Broken()])
    assert not isinstance(caught.value, errors.NncoreError)


def test_what_fit_returns_is_no_model():
    made = nn.Sequential(nn.Linear(3, 2), seed=0)
    made.compile("mse", "sgd")
    history = made.fit(X, Y)
    for name, text in (("predict", "fit returns the history; use model.predict"), ("loss", r'use history.history\["loss"\]')):
        with pytest.raises(errors.UnknownAttributeError, match=f"History has no '{name}': {text}"):
            getattr(history, name)
        assert name not in dir(history)


def test_signatures_stay_visible():
    assert list(inspect.signature(nn.Sequential.compile).parameters)[:3] == ["self", "loss", "optimizer"]
    assert inspect.signature(nn.Sequential).parameters["seed"].default is None
    assert "epochs" in inspect.signature(model().fit).parameters
    assert list(inspect.signature(nn.optim.Adam).parameters)[:2] == ["lr", "betas"]


def test_objects_of_pytorch_and_scikit_learn():
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("sklearn.metrics")

    class Mine(torch.nn.Module):
        pass

    for loss, text in (
        (torch.nn.MSELoss(), "MSELoss is PyTorch's: use nn.losses.MeanSquaredError"),
        (torch.nn.CrossEntropyLoss(), "CrossEntropyLoss is PyTorch's: use .*SparseCategoricalCrossentropy.from_logits=True"),
        (torch.nn.MSELoss, "MSELoss is PyTorch's: use nn.losses.MeanSquaredError"),
        (torch.nn.functional.mse_loss, "mse_loss is PyTorch's"),
        (Mine(), "Mine is PyTorch's: use nn.losses"),
        (metrics.log_loss, 'log_loss is scikit-learn\'s: use "binary_crossentropy"'),
        (metrics.accuracy_score, "accuracy_score is scikit-learn's: use nn.metrics.accuracy"),
    ):
        with pytest.raises(errors.ArgumentError, match=f"loss: {text}"):
            nn.Sequential(nn.Linear(2, 1)).compile(loss, "sgd")
    rule = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)
    for optimizer in (rule, torch.optim.Adam):
        with pytest.raises(errors.ArgumentError, match="optimizer: (SGD|Adam) is PyTorch's: use nn.optim"):
            nn.Sequential(nn.Linear(2, 1)).compile("mse", optimizer)
    for layer in (torch.nn.Linear(2, 1), torch.nn.Linear, Mine()):
        with pytest.raises(errors.ArgumentError, match=r"Sequential: layer 0 is none of nncore: \w+ is PyTorch's: use"):
            nn.Sequential(layer)
    for name in ("xavier_uniform_", "zeros_", "normal_"):
        with pytest.raises(
            errors.ArgumentError, match=rf"Linear: weight_init: {name} is PyTorch's: pass nn.init.\w+ as weight_init"
        ):
            nn.Linear(2, 1, weight_init=getattr(torch.nn.init, name))
    for metric, text in (
        (torch.nn.MSELoss(), "MSELoss is PyTorch's: use nn.losses.MeanSquaredError"),
        (torch.nn.functional.l1_loss, "l1_loss is"),
    ):
        with pytest.raises(errors.ArgumentError, match=f"metrics: {text}"):
            nn.Sequential(nn.Linear(2, 1)).compile("mse", "sgd", metrics=[metric])
    nn.Sequential(nn.Linear(2, 1)).compile("mse", "sgd", metrics=[metrics.r2_score])  # a metric may be a function
    assert objects.library(np.tanh) == objects.library(nn.ReLU()) == objects.library("x") == ""


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("relu", r"layer 1 is the text 'relu'; pass a layer, nn.ReLU\(\)"),
        ("zzz", "layer 1 is the text 'zzz'; pass a layer$"),
        (np.tanh, r"layer 1 is the function .*nn.Lambda\(forward, backward\) makes a layer of it"),
        ([nn.ReLU()], "layer 1 is a list; put its layers in one by one"),
        ({"a": nn.ReLU()}, r"layer 1 is a dict; pass its layers: \*layers.values\(\)"),
        ((nn.ReLU() for _ in range(2)), "layer 1 is a generator; put its layers in one by one"),
        (np.ones(2), "layer 1 is no layer but array"),
        (None, "layer 1 is no layer but None"),
        (nn.ReLU, r"layer 1 is the class ReLU; call it: ReLU\(...\)"),
    ],
)
def test_what_is_no_layer(layer, text):
    with pytest.raises(errors.ArgumentError, match=f"Sequential: {text}"):
        nn.Sequential(nn.Linear(2, 2), layer)


def test_an_input_is_no_layer():
    with pytest.raises(errors.ArgumentError, match="layer 0 is <Input .*leave an input out"):
        nn.Sequential(nn.Input((3,)), nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.ones((3, 2)), "Linear: weight_init must be .*, not an array; use lambda shape, rng: values, or assign"),
        ([[1.0, 2.0]], "not an array"),
        (0.1, r"not a number; use nn.init.Constant\(0.1\)"),
        (np.ndarray, r"weight_init is the class ndarray; pass an object, ndarray\(...\)"),
    ],
)
def test_what_is_no_initializer(value, text):
    with pytest.raises(errors.ArgumentError, match=text):
        nn.Linear(2, 3, weight_init=value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: np.tanh(x), r"np.tanh is not there for a value of a network.*nn.Tanh\(\)\(x\)"),
        (lambda x: np.maximum(x, 0), "np.maximum is not there"),
        (lambda x: x[:, 0], r"no dimension would be left beside the batch; write x\[:, 0:1\]"),
        (lambda x: x[0], "the first index is that of the batch"),
        (lambda x: x**2, r"\*\* is not there"),
        (lambda x: x @ np.ones((3, 2)), "@ is not there"),
        (lambda x: np.ones((2, 3)) @ x, "@ is not there"),
        (lambda x: 1 / x, "a division by a value is not there"),
        (lambda x: np.ones(3) / x, "a division by a value is not there"),
        (lambda x: np.ones(3) + x, "make an array an nn.Input"),
        (lambda x: x + np.ones(3), "make an array an nn.Input"),
        (lambda x: nn.Concatenate()(x, x), r"Concatenate: pass several inputs as a list, layer\(\[a, b\]\)"),
        (lambda x: nn.Add()(x, x), "Add: pass several inputs as a list"),
    ],
)
def test_what_arrays_do_and_values_do_not(call, text):
    x = nn.Input((3,))
    with pytest.raises(errors.ArgumentError, match=text):
        call(x)


def test_values_take_numbers_of_numpy_on_either_side():
    x = nn.Input((3,))
    model = nn.Model(x, np.float32(2) * x + np.float64(1) - x * np.int64(3) + (np.float32(1) - x))
    np.testing.assert_allclose(model([[1.0, 2.0, 3.0]]), [[0.0, -2.0, -4.0]])
    with pytest.raises(TypeError, match="not iterable"):
        iter(x)


def test_every_module_says_what_it_lacks():
    for module in FAMILIES:
        with pytest.raises(errors.UnknownAttributeError, match=f"module '{module.__name__}' has no attribute 'Dens'"):
            module.Dens  # noqa: B018 - what is asked for


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.losses.Quantile(alpha=0.3), "here it is quantile"),
        (lambda: nn.losses.Quantile(tau=0.3), "here it is quantile"),
        (lambda: nn.LeakyReLU(alpha=0.3), "here it is negative_slope"),
        (lambda: nn.Softmax(axis=1), "here it is dim;"),
        (lambda: nn.LayerNorm(axis=1), "here it is normalized_shape;"),
        (lambda: nn.RNN(3, 4, activation="relu"), "here it is nonlinearity"),
        (lambda: nn.LSTM(3, 4, activation="relu"), "here it is fixed .*: tanh"),
        (lambda: nn.schedules.Exponential(0.1, decay_steps=3), "here it is steps"),
        (lambda: nn.schedules.Cosine(0.1, decay_steps=3), "here it is total_steps"),
        (lambda: nn.callbacks.ReduceLROnPlateau(epsilon=1), "here it is min_delta"),
        (lambda: nn.callbacks.ReduceLROnPlateau(threshold=1), "here it is min_delta"),
        (lambda: nn.optim.Adam(epsilon=1), "here it is eps"),
        (lambda: nn.losses.SparseCategoricalCrossentropy(ignore_class=0), "here it is ignore_index"),
        (lambda: nn.metrics.RocAuc(curve="PR"), "nn.metrics.AveragePrecision for PR"),
        (lambda: nn.metrics.mse([1.0], [2.0], foo=1), "^mse takes no argument 'foo'"),
        (lambda: nn.optim.Adam(model().parameters()), "parameters are not passed to it"),
        (lambda: nn.optim.SGD(model()), "Sequential; the model's parameters are not passed to it"),
        (lambda: nn.optim.Adam(iter([X])), "parameters are not passed to it"),
        (lambda: nn.Input((3,)) / nn.Input((3,)), "/ takes a number on its right, not another value"),
        (lambda: nn.Model(nn.Input((3,))), "^Model needs outputs"),
        (lambda: model().get_layer(0), r"text, not 0; model.layers\[i\]"),
        (lambda: model().save("models/m.keras"), "Name it 'models/m.safetensors'"),
        (lambda: nn.Sequential(nn.Linear(3, 2)).predict(X, mask=X), "lengths and masks need an input"),
        (lambda: model().compile("mse", "sgd", [lambda: 3]), "^metrics: a metric must be a function of y_true and y_pred"),
    ],
)
def test_hints_name_what_is_there(make, text):
    with pytest.raises((errors.ArgumentError, errors.ShapeError), match=text):
        make()


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        (nn, "timeseries_dataset_from_array", "make_windows"),
        (nn, "cat", "nn.concatenate"),
        (nn, "Dot", "nn.Multiply"),
        (nn, "Softmin", "nn.Softmax"),
        (nn, "ParameterList", "add_weight"),
        (nn, "RNNCellBase", "nn.RNN"),
        (nn.losses, "Pinball", "nn.losses.Quantile"),
        (nn.losses, "FocalLoss", "FocalCrossentropy"),
        (nn.losses, "CTCLoss", "nncore has none"),
        (nn.metrics, "mean_pinball_loss", "nn.losses.Quantile"),
        (nn.metrics, "mean_squared_log_error", "MeanSquaredLogarithmicError"),
        (nn.metrics, "hinge_loss", "nn.losses.Hinge"),
        (nn.metrics, "roc_curve", "roc_auc"),
        (model(), "fit_transform", "predict"),
        (model(), "save_pretrained", "model.save"),
        (model(), "inputs", "input_shapes"),
        (model(), "compiled", "NotCompiledError"),
    ],
)
def test_more_names_of_others(module, name, text):
    with pytest.raises(AttributeError, match=f"{name}.*{text}"):
        getattr(module, name)


def test_the_model_of_a_graph_is_called_as_it_was_made():
    x = nn.Input((3,))
    graph = nn.Model(x, nn.Linear(3, 2)(x))
    assert repr(graph).startswith("Model(")
    assert str(graph.summary(show=False)).startswith("Model,")
    for broken in (lambda: graph.nothing, lambda: graph.get_layer("a")):
        with pytest.raises((AttributeError, errors.ArgumentError), match="Model") as error:
            broken()
        assert "Functional" not in str(error.value)
    assert type(pickle.loads(pickle.dumps(graph))) is type(copy.deepcopy(graph)) is type(graph)


def test_a_layer_whose_constructor_does_not_call_that_of_its_base():
    class Silent(nn.PythonLayer):
        def __init__(self, k):
            self.k = k

        def forward(self, x):
            return x

        def backward(self, grad, x, y):
            return grad

    for use in (lambda: nn.Sequential(Silent(1)), lambda: Silent(1)(nn.Input((3,))), lambda: Silent(1)(X)):
        with pytest.raises(errors.ArgumentError, match=r"^Silent: .* call super\(\).__init__\(\)"):
            use()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("make_windows", lambda: nn.make_windows(np.ones(9), lenght=3)),
        ("pad_sequences", lambda: nn.pad_sequences([[1]], max_len=3)),
        ("split_series", lambda: nn.split_series(np.ones(9), tests=3)),
        ("diagnose", lambda: nn.diagnose(model(), X, Y, step=3)),
        ("find_lr", lambda: nn.find_lr(model(), X, Y, low=1e-5)),
        ("overfit_one_batch", lambda: nn.overfit_one_batch(model(), X, Y, row=3)),
        ("check_gradients", lambda: nn.check_gradients(model(), X, Y, epsilon=1e-5)),
    ],
)
def test_functions_explain_arguments_that_they_do_not_take(name, call):
    with pytest.raises(errors.ArgumentError, match=f"^{name} takes no argument '.*It takes "):
        call()


def test_the_argument_that_is_wrong_is_named():
    with pytest.raises(errors.ArgumentError, match="^weighted_metrics: 3 is no metric"):
        model().compile("mse", "sgd", weighted_metrics=[3])
    with pytest.raises(errors.ArgumentError, match="^metrics: 3 is no metric"):
        model().compile("mse", "sgd", metrics=[3])
    with pytest.raises(errors.ArgumentError, match="compute must be"):
        nn.Sequential(nn.Linear(2, 2), compute=np.ones(2))
