"""Every layer, loss, optimizer, metric and initializer of nncore goes into a file and comes back; what is not nncore's does not."""

import copy

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError
from nncore.saving.declarations import INITIALIZERS, LAYERS

#: Constructor arguments of layers that cannot do without; a new layer of that kind has to be entered here.
NEEDED = {
    "Linear": (4, 4),
    "BatchNorm1d": (4,),
    "LayerNorm": (4,),
    "GaussianNoise": (0.1,),
    "Maxout": (4, 3),
    "Embedding": (5, 2),
    "Reshape": (2, 2),
    "Permute": (1,),
    "RepeatVector": (3,),
    "Slice": (0, 4),
    "Take": ([3, 1, 0, 2],),
    "Rescaling": (0.5, -1.0),
    "Threshold": (0.1, -0.2),
    "RNN": (4, 3),
    "GRU": (4, 3),
    "LSTM": (4, 3),
}
LAYERS_MADE = [
    *(cls(*NEEDED.get(name, ())) for name, cls in LAYERS.items()),
    nn.Linear(4, 2, bias=False, weight_init="orthogonal", bias_init=nn.init.ones, l1=0.1, l2=np.float32(0.2), trainable=False),
    nn.BatchNorm1d(4, eps=1e-3, momentum=None, affine=False),
    nn.BatchNorm1d(4, track_running_stats=False),
    nn.LayerNorm((2, 2), eps=1e-3, bias=False),
    nn.PReLU(4, init=0.1),
    nn.Embedding(7, 3, padding_idx=-1, weight_init="normal"),
    nn.Maxout(4, 3, pieces=4, bias=False),
    nn.LeakyReLU(0.3),
    nn.Hardtanh(-2, 3),
    nn.Dropout(0.25),
    nn.Step(0.5),
    nn.Concatenate(axis=1),
    nn.Slice(None, -5, -1, axis=1),
    nn.Take(np.array([-1, 0, 0, 2]), axis=1),
]
OPTIMIZERS_MADE = [
    *(cls() for cls in dict.fromkeys(nn.optim.OPTIMIZERS.values())),
    nn.optim.SGD(lr=np.float32(0.1), momentum=0.9, nesterov=True, clip_norm=2.0),
    nn.optim.Adam(betas=(0.5, 0.6), eps=1e-3, weight_decay=0.1, amsgrad=True, clip_value=1),
    nn.optim.RMSprop(centered=True, momentum=0.1),
    nn.optim.SGD(momentum=0.5, lr_in_momentum=True, divide_penalties=True),
    nn.optim.Adam(epsilon_hat=True),
    nn.optim.LBFGS(max_eval=7),
]
LOSSES_MADE = [
    *(cls() for cls in dict.fromkeys(nn.losses.LOSSES.values())),
    nn.losses.Huber(delta=2.5, reduction="sum"),
    nn.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, reduction="mean_with_sample_weight"),
]
METRICS_MADE = [
    *(cls() for cls in dict.fromkeys(nn.metrics.METRICS.values())),
    nn.metrics.get("acc"),
    nn.metrics.F1(average="macro", name="f1_macro", threshold=0.25),
    nn.metrics.Precision(average=None),
]
INITIALIZERS_MADE = [*(cls() for cls in INITIALIZERS.values()), nn.init.he_uniform(gain=2.0), nn.init.truncated_normal(std=0.1)]


def by_file(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    return nn.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize("layer", LAYERS_MADE, ids=repr)
def test_layers(layer, tmp_path):
    if layer.input_count[0] == 1:
        model = nn.Sequential(layer, seed=0)
    else:
        x = nn.Input((4,))
        model = nn.Model(x, layer([x, nn.ReLU()(x)]), seed=0)
    again = by_file(model, tmp_path).layers[model.layers.index(layer)]
    assert type(again) is type(layer)
    assert {k: nn.init.get(v) if callable(v) else v for k, v in layer.config().items()} == again.config()
    if model.built:
        shape = (3, *model.input_shapes[0])
        x = np.linspace(-1, 1, np.prod(shape)).reshape(shape)
        np.testing.assert_array_equal(nn.load(tmp_path / "model.safetensors").predict(x), model.predict(x))


def test_that_changed_arguments_count(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].l1, model[0].trainable = 0.5, False
    assert by_file(model, tmp_path)[0].config() == model[0].config()


@pytest.mark.parametrize("optimizer", OPTIMIZERS_MADE, ids=repr)
def test_optimizers(optimizer, tmp_path):
    model = nn.Sequential(nn.Linear(2, 1))
    model.compile("mse", optimizer)
    again = by_file(model, tmp_path).optimizer
    assert type(again) is type(optimizer)
    assert vars(again) == vars(optimizer)
    assert again.spec() == optimizer.spec()


@pytest.mark.filterwarnings("ignore:poisson takes rates")
@pytest.mark.parametrize("loss", LOSSES_MADE, ids=repr)
def test_losses(loss, tmp_path):
    model = nn.Sequential(nn.Linear(2, 4), nn.Softplus() if loss.name == "poisson" else nn.Identity())
    if not loss.from_logits and loss.targets in ("probabilities", "one_hot", "classes"):
        model = nn.Sequential(nn.Linear(2, 4), nn.Softmax() if loss.targets != "probabilities" else nn.Sigmoid())
    model.compile(loss, "sgd", check_finite=True, loss_weights=[0.5])
    again = by_file(model, tmp_path)._trainer.config
    assert type(again.losses[0]) is type(loss)
    assert vars(again.losses[0]) == vars(loss)
    assert (again.check_finite, again.weights) == (True, [0.5])


@pytest.mark.filterwarnings("ignore:top_k_accuracy with k=5")  # of two classes
@pytest.mark.parametrize("metric", METRICS_MADE, ids=repr)
def test_metrics(metric, tmp_path):
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    model.compile("mse" if metric.kind == "residuals" else "bce", "sgd", [metric])
    (again,) = by_file(model, tmp_path).metrics
    assert type(again) is type(metric)
    assert (again.name, again.threshold, getattr(again, "average", 0)) == (
        metric.name,
        metric.threshold,
        getattr(metric, "average", 0),
    )


@pytest.mark.parametrize("scheme", INITIALIZERS_MADE, ids=repr)
def test_initializers(scheme, tmp_path):
    """Of a model that is not built, so that they still have to draw."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, weight_init=scheme), seed=3)
    again = by_file(model, tmp_path)
    assert again[1].weight_init == scheme
    np.testing.assert_array_equal(again(np.ones((1, 4))), model(np.ones((1, 4))))


def draw_ones(shape, rng):
    return np.ones(shape)


def test_initializers_of_the_user_are_left_out(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2, weight_init=draw_ones))
    again = by_file(model, tmp_path)
    assert again[0].weight_init == "auto"
    np.testing.assert_array_equal(again[0].weight, np.ones((2, 2)))


def test_initializers_of_the_user_that_have_not_drawn_yet_are_refused(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, weight_init=draw_ones))
    with pytest.raises(ArgumentError, match=r"layer 1 \(Linear\): weight_init is <function draw_ones.*build first"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_schedules_without_a_name_are_refused(tmp_path):
    model = nn.Sequential(nn.Linear(2, 1))
    model.compile("mse", nn.optim.SGD(lr=lambda step: 0.1))
    with pytest.raises(ArgumentError, match="lr is <function .*include_training=False"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", include_training=False)


def falling(step):
    return 0.1 / (1 + step)


class Falling:
    def __init__(self, base):
        self.base = base

    def config(self):
        return {"base": self.base}

    def __call__(self, step):
        return self.base / (1 + step)


@pytest.mark.parametrize(
    "rate",
    [
        lambda: falling,
        lambda: Falling(0.2),
        lambda: nn.schedules.Warmup(Falling(0.2), 3),
        lambda: nn.schedules.PerEpoch(falling, 2),
    ],
)
def test_schedules_of_the_user_are_found_by_name(rate, tmp_path, rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", nn.optim.SGD(lr=rate()))
    model.fit(x, y, batch_size=5)
    model.save(tmp_path / "model")
    with pytest.raises(nn.errors.FileFormatError, match=r"is a schedule of your own.*custom_objects="):
        nn.load(tmp_path / "model")
    with pytest.raises(nn.errors.FileFormatError, match="gives nothing callable"):
        nn.load(tmp_path / "model", custom_objects={"falling": 1.0, "Falling": dict})
    other = nn.load(tmp_path / "model", custom_objects={"falling": falling, "Falling": Falling})
    for each in (model, other):
        each.fit(x, y, epochs=3, batch_size=5, resume=True)
    np.testing.assert_array_equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize("pattern", ["BatchNorm1d.*", "2.*", ["1.weight", "2.bias"]])
@pytest.mark.parametrize("rule", [nn.optim.AdamW, nn.optim.Lion])
def test_groups_whose_names_only_this_model_has(pattern, rule, tmp_path, rng):
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), seed=0)
    model.compile("mse", rule(lr=0.01, ema_momentum=0.9, groups=[{"params": pattern, "weight_decay": 0.3, "lr_scale": 0.5}]))
    model.fit(x, y, epochs=2, batch_size=8)
    model.save(tmp_path / "model")
    other = nn.load(tmp_path / "model")
    assert other.optimizer.config() == model.optimizer.config()
    for each in (model, other):
        each.fit(x, y, epochs=4, batch_size=8, resume=True)
    for now, then in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)


class Limited:
    """A metric of one's own, whose argument may be anything."""

    def __init__(self, limit):
        self.limit = limit

    def update_state(self, y_true, y_pred, sample_weight):
        pass

    def result(self):
        return 0.0

    def config(self):
        return {"limit": self.limit}


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_numbers_that_json_does_not_have_are_refused(number, tmp_path):
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    model.compile("bce", "sgd", metrics=[Limited(number)])
    with pytest.raises(ArgumentError, match=r"limit of Limited is (inf|nan), which a file cannot hold"):
        model.save(tmp_path / "model")


class MyTanh(nn.Tanh):
    pass


class MyLoss(nn.losses.MeanSquaredError):
    pass


class MyOptimizer(nn.optim.SGD):
    pass


class MyMetric(nn.metrics.MSE):
    pass


@pytest.mark.parametrize(
    "parts",
    [
        {"layer": MyTanh()},
        {"loss": MyLoss()},
        {"optimizer": MyOptimizer()},
        {"metrics": [MyMetric()]},
    ],
    ids=str,
)
def test_what_is_not_nncores_own_is_refused(parts, tmp_path):
    model = nn.Sequential(nn.Linear(2, 1), parts.get("layer", nn.Tanh()))
    model.compile(parts.get("loss", "mse"), parts.get("optimizer", "sgd"), parts.get("metrics", ()))
    with pytest.raises(ArgumentError, match=r"My\w+ is not one of nncore's own classes"):
        model.save(tmp_path / "model")


class Regressor(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(2, 1))


def test_subclasses_come_back_as_plain_models(tmp_path):
    model = Regressor()
    again = by_file(model, tmp_path)
    assert type(again) is nn.Sequential
    np.testing.assert_array_equal(again([[1, 2]]), model([[1, 2]]))


def test_models_that_are_not_built(tmp_path):
    brought = nn.Sequential(nn.Linear(4, 2), seed=8)
    model = nn.Sequential(nn.Flatten(), copy.copy(brought[0]), nn.Linear(2, 1))
    model.seed = 2**64 - 1
    again = by_file(model, tmp_path)
    assert not again.built
    assert again.seed == 2**64 - 1
    x = np.ones((1, 2, 2))
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again[1].weight, brought[0].weight)


def test_models_built_for_another_shape(tmp_path):
    model = nn.Sequential(nn.Linear(3, 2)).build((5, 3))
    assert by_file(model, tmp_path).input_shapes == [(5, 3)]


@pytest.mark.parametrize("seed", [0, 2**62])
def test_seeds(seed, tmp_path):
    assert by_file(nn.Sequential(nn.Linear(1, 1), seed=seed), tmp_path).seed == seed
