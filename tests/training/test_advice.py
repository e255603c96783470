"""Advice of compile: models that cannot learn what their loss asks for are warned of, and right ones are not."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import nncore as nn
from nncore.training import advice

BCE, CCE, SCCE = "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"
BINARY, ONE_HOT, SPARSE = (
    nn.losses.BinaryCrossentropy,
    nn.losses.CategoricalCrossentropy,
    nn.losses.SparseCategoricalCrossentropy,
)


def net(width, *end):
    return nn.Sequential(nn.Linear(3, width), *end, seed=0)


@pytest.mark.parametrize(
    ("loss", "width", "end", "text"),
    [
        # one output, of which softmax makes 1
        (BCE, 1, [nn.Softmax()], "softmax over one output is always the same; use Sigmoid"),
        ("mse", 1, [nn.Softmax()], "softmax over one output"),
        ("mse", 1, [nn.LogSoftmax()], "log_softmax over one output"),
        (BINARY(from_logits=True), 1, [nn.Softmax()], "softmax over one output"),
        # exclusive classes and independent outputs
        (BCE, 3, [nn.Softmax()], "binary_crossentropy is for independent outputs, but softmax makes them exclusive"),
        (BINARY(from_logits=True), 3, [nn.Softmax()], "makes them exclusive; use categorical_crossentropy"),
        (BCE, 3, [nn.Softmax(), nn.Identity(), nn.Flatten()], "makes them exclusive"),
        (CCE, 3, [nn.Sigmoid()], "categorical_crossentropy takes probabilities that add up to 1, .* use Softmax"),
        (SCCE, 3, [nn.Sigmoid()], "sparse_categorical_crossentropy takes probabilities that add up to 1"),
        ("kl_divergence", 3, [nn.Sigmoid()], "kl_divergence takes probabilities that add up to 1"),
        # no probabilities
        (BCE, 1, [], "takes probabilities, but the model ends in a linear layer; add Sigmoid, or use from_logits=True"),
        (CCE, 3, [], "takes probabilities, but the model ends in a linear layer; add Softmax"),
        (SCCE, 3, [nn.BatchNorm1d(3)], "ends in a batch norm layer; add Softmax"),
        (BCE, 1, [nn.Tanh()], "ends in tanh; add Sigmoid"),
        (BCE, 1, [nn.ReLU()], "ends in relu; add Sigmoid"),
        (BCE, 1, [nn.Hardtanh()], "ends in hardtanh; add Sigmoid"),
        (SCCE, 3, [nn.ReLU()], "ends in relu; add Softmax"),
        (SCCE, 3, [nn.LogSoftmax()], "ends in log_softmax; add Softmax, or use from_logits=True"),
        ("kl_divergence", 3, [], "kl_divergence takes probabilities, but the model ends in a linear layer; add Softmax$"),
        ("categorical_focal_crossentropy", 3, [], "takes probabilities, .*; add Softmax, or use from_logits=True"),
        ("binary_focal_crossentropy", 3, [nn.Softmax()], "makes them exclusive"),
        ("squared_hinge", 1, [nn.Sigmoid()], "squared_hinge takes scores of both signs"),
        # no logits
        (BINARY(from_logits=True), 1, [nn.Sigmoid()], "takes logits, but the model ends in sigmoid; leave one of the two out"),
        (ONE_HOT(from_logits=True), 3, [nn.Softmax()], "takes logits, but the model ends in softmax"),
        (SPARSE(from_logits=True), 3, [nn.ReLU()], r"\(from_logits=True\) takes any number, but relu gives only some of them"),
        (SPARSE(from_logits=True), 3, [nn.Tanh()], "tanh gives only some"),
        (BINARY(from_logits=True), 1, [nn.ReLU()], "relu gives only some of them; leave relu out"),
        (BINARY(from_logits=True), 1, [nn.Softplus()], "softplus gives only some"),
        (BINARY(from_logits=True), 1, [nn.Hardtanh()], "hardtanh gives only some"),
        # what softmax and sigmoid get
        (SCCE, 3, [nn.ReLU(), nn.Softmax()], "softmax takes any number, but relu gives only some of them; leave relu out"),
        (CCE, 3, [nn.Sigmoid(), nn.Dropout(0.1), nn.Softmax()], "but sigmoid gives only some of them; leave sigmoid out"),
        (BCE, 1, [nn.ReLU(), nn.Sigmoid()], "sigmoid takes any number, but relu gives only some of them"),
        (BCE, 3, [nn.Tanh(), nn.Sigmoid(), nn.Flatten()], "sigmoid takes any number, but tanh gives"),
        # rates and scores
        ("poisson", 1, [], "poisson takes rates, which are positive, but the model ends in a linear layer; add Softplus"),
        ("poisson", 2, [nn.Tanh()], "ends in tanh; add Softplus"),
        ("hinge", 1, [nn.Sigmoid()], "hinge takes scores of both signs, but the model ends in sigmoid; leave it out"),
        ("perceptron", 1, [nn.ReLU()], "perceptron takes scores of both signs, but the model ends in relu"),
        # behind layers that give what they are given, or change it
        ("poisson", 1, [nn.Dropout(0.1)], "ends in a linear layer; add Softplus"),
        (BCE, 1, [nn.GaussianNoise(0.1)], "ends in a linear layer; add Sigmoid"),
        (CCE, 3, [nn.PReLU(), nn.Dropout(0.1)], "ends in PReLU; add Softmax"),
        ("poisson", 4, [nn.GLU()], "ends in GLU; add Softplus"),
        (BCE, 1, [nn.Rescaling(0.5)], "ends in a linear layer; add Sigmoid"),
        ("poisson", 1, [nn.ReLU(), nn.Rescaling(-0.5)], "ends in relu times -0.5; add Softplus"),
        (BCE, 1, [nn.Sigmoid(), nn.Rescaling(2.0, -1.0)], "ends in sigmoid times 2 - 1; add Sigmoid"),
        ("hinge", 1, [nn.ReLU6()], "ends in ReLU6; leave it out"),
        (nn.losses.GaussianNLL(log_variance=False), 2, [], "takes positive variances, .* a linear layer; use log_variance=True"),
        # no gradient
        ("mse", 1, [nn.Step()], "Step passes no gradient, so 0.weight, 0.bias will not be trained; use Sigmoid"),
        (BCE, 1, [nn.Step()], "Step passes no gradient"),
        ("perceptron", 1, [nn.Step()], "for a perceptron the loss 'perceptron' without Step"),
        ("mse", 2, [nn.Step(), nn.Linear(2, 1)], "so 0.weight, 0.bias will not be trained"),
        ("mse", 2, [nn.Linear(2, 2), nn.Step(), nn.Linear(2, 1)], "so 0.weight, 0.bias, 1.weight, ... will not be trained"),
    ],
)
def test_what_cannot_learn_is_warned_of_once_at_the_line_of_compile(loss, width, end, text):
    model = net(width, *end)
    with pytest.warns(UserWarning, match=text) as seen:
        model.compile(loss, "sgd")
    assert [each.filename for each in seen] == [__file__]
    assert len(str(seen[0].message)) < 160


@pytest.mark.parametrize(
    ("loss", "width", "end"),
    [
        (BCE, 1, [nn.Sigmoid()]),
        (BCE, 4, [nn.Sigmoid()]),
        (BINARY(from_logits=True), 1, []),
        (BINARY(from_logits=True), 2, [nn.LeakyReLU()]),
        (BCE, 1, [nn.Hardtanh(0.0, 1.0)]),
        (CCE, 3, [nn.Softmax()]),
        (CCE, 3, [nn.LeakyReLU(), nn.Softmax()]),
        (SCCE, 3, [nn.LayerNorm(3), nn.Softmax()]),
        (BCE, 1, [nn.Tanh(), nn.Rescaling(10.0), nn.Sigmoid()]),
        (SCCE, 3, [nn.Softmax(), nn.Flatten()]),
        (SPARSE(from_logits=True), 3, []),
        (SPARSE(from_logits=True), 3, [nn.LogSoftmax()]),  # PyTorch's NLLLoss
        (SPARSE(from_logits=True), 3, [nn.Hardtanh(-20, 20)]),
        ("kl_divergence", 3, [nn.Softmax()]),
        ("categorical_hinge", 3, [nn.ReLU()]),
        ("hinge", 1, []),
        ("hinge", 1, [nn.Tanh()]),
        ("perceptron", 1, []),
        ("poisson", 1, [nn.Softplus()]),
        ("poisson", 1, [nn.ReLU()]),
        ("poisson", 1, [nn.Sigmoid(), nn.Rescaling(10.0)]),
        ("poisson", 1, [nn.Softplus(), nn.Dropout(0.1)]),
        ("poisson", 1, [nn.ReLU(), nn.PReLU()]),
        ("poisson", 4, [nn.ReLU(), nn.GLU()]),
        (BCE, 1, [nn.Sigmoid(), nn.Rescaling(0.5)]),
        (BCE, 1, [nn.Sigmoid(), nn.Rescaling(-1.0, 1.0)]),
        (BINARY(from_logits=True), 1, [nn.Tanh(), nn.Rescaling(10.0)]),
        (SPARSE(from_logits=True), 3, [nn.Rescaling(0.1)]),
        (SPARSE(from_logits=True), 3, [nn.PReLU(), nn.Dropout(0.1)]),
        (nn.losses.GaussianNLL(), 2, []),
        (nn.losses.GaussianNLL(log_variance=False), 2, [nn.Softplus()]),
        ("mse", 1, []),
        ("mse", 3, [nn.Softmax()]),
        ("mse", 1, [nn.Sigmoid()]),
        (BCE, 1, [nn.Tanh(), nn.Rescaling(0.5, 0.5)]),  # which gives probabilities
        (BCE, 1, [nn.Lambda(lambda x: 1 / (1 + np.exp(-x)), lambda dy, x, y: dy * y * (1 - y))]),
    ],
)
def test_what_can_learn_is_not_warned_of(loss, width, end):
    net(width, *end).compile(loss, "sgd")  # warnings are errors here


def test_the_ranges_of_activations_are_right():
    """Each holds what the activation gives, and is not much wider."""
    x = np.linspace(-40, 40, 100001)[:, None].astype(np.float64)
    seen = set()
    for name in nn.layers.__all__:
        cls = getattr(nn.layers, name)
        code = getattr(cls, "code", None) if isinstance(cls, type) else None
        if not isinstance(code, str) or code in ("softmax", "log_softmax"):
            continue
        try:
            layer = cls()
        except TypeError:  # it has no default
            continue
        op = layer.ops("a", (0,), 1)[0]
        limits = advice._range(op)
        if limits is None:
            continue
        seen.add(op.code)
        y = layer(x)
        assert limits[0] <= y.min()
        assert y.max() <= limits[1]
        assert y.min() < -0.3 if limits[0] == -np.inf else y.min() - limits[0] < 0.15
        assert y.max() > 30 if limits[1] == np.inf else limits[1] - y.max() < 0.05
    assert {"sigmoid", "tanh", "relu", "elu", "selu", "gelu", "silu", "softplus", "hardtanh"} <= seen


def test_a_loss_of_ones_own_may_take_what_it_likes():
    class Logits(nn.losses.PythonLoss):
        targets = "classes"

        def value_and_gradient(self, y_true, y_pred):
            return y_pred[:, 0], y_pred

    net(3).compile(Logits(), "sgd")


def test_the_output_is_named_if_there_are_several():
    x = nn.Input((3,))
    model = nn.Model(x, {"a": nn.Sigmoid()(nn.Linear(3, 1)(x)), "b": nn.Linear(3, 1)(x)})
    with pytest.warns(UserWarning, match="^b: binary_crossentropy takes probabilities") as seen:
        model.compile(BCE, "sgd")
    assert len(seen) == 1


def test_step_matters_where_it_cuts_off_what_is_to_be_trained():
    first = nn.Linear(3, 4)
    fixed = nn.Sequential(nn.Linear(3, 4, trainable=False), nn.Step(), nn.Linear(4, 1))
    fixed.compile("mse", "sgd")  # random features
    nn.Sequential(nn.Step(), nn.Linear(3, 1)).compile("mse", "sgd")  # binarizes the input
    x = nn.Input((3,))
    h = first(x)
    nn.Model(x, nn.Linear(4, 1)(nn.Step()(h) + h)).compile("mse", "sgd")  # the gradient goes around it
    x = nn.Input((3,))
    twice = nn.Linear(3, 3)
    nn.Model(x, twice(nn.Step()(twice(x)))).compile("mse", "sgd")  # its second call is trained
    x = nn.Input((3,))
    with pytest.warns(UserWarning, match="so cut.weight, cut.bias will not"):
        nn.Model(x, nn.Linear(4, 1)(nn.Step()(nn.Linear(3, 4, name="cut")(x)))).compile("mse", "sgd")


def test_a_recurrent_model_is_warned_of_when_its_shape_is_known():
    model = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 1), seed=0)
    model.compile(BCE, "sgd")
    y = np.zeros((3, 1))
    with pytest.warns(UserWarning, match="ends in a linear layer; add Sigmoid") as seen:
        model.fit(np.zeros((3, 5, 2)), y)
    assert [each.filename for each in seen] == [__file__]
    model.fit(np.zeros((3, 7, 2)), y)  # another length: not again
    model.train_on_batch(np.zeros((3, 6, 2)), y)


def test_copies_and_files_do_not_warn_again(tmp_path):
    model = net(1)
    with pytest.warns(UserWarning, match="add Sigmoid"):
        model.compile(BCE, "sgd")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 1)))
    model.save(tmp_path / "m.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.load(tmp_path / "m.safetensors").fit(np.ones((2, 3)), np.ones((2, 1)))
        copy.deepcopy(model).fit(np.ones((2, 3)), np.ones((2, 1)))
        pickle.loads(pickle.dumps(model)).fit(np.ones((2, 3)), np.ones((2, 1)))


def test_warnings_that_are_errors_leave_the_model_as_it_was():
    model = net(1)
    model.compile("mse", "adam", metrics=["mae"])
    with pytest.raises(UserWarning):
        model.compile(BCE, "sgd")
    assert model.metrics_names == ["loss", "mae"]
    model.fit(np.ones((2, 3)), np.ones((2, 1)))


@pytest.mark.parametrize(
    ("layer", "loss", "text"),
    [
        (nn.LSTM(3, 1), "poisson", "ends in LSTM; add Linear and Softplus"),
        (nn.GRU(3, 1), BCE, "ends in GRU; add Linear and Sigmoid, or use from_logits=True"),
        (nn.RNN(3, 4), SCCE, "ends in RNN; add Linear and Softmax"),
        (nn.RNN(3, 4, nonlinearity="relu"), SCCE, "ends in RNN; add Linear and Softmax"),
        (nn.LSTM(3, 4), SPARSE(from_logits=True), "LSTM gives only some of them; add Linear"),
        (nn.GRU(3, 1), BINARY(from_logits=True), "GRU gives only some of them; add Linear"),
        (nn.GRU(3, 1, learn_initial_state=True), "poisson", "ends in GRU"),
        (nn.LSTM(3, 4), "mse", ""),
        (nn.RNN(3, 1, nonlinearity="relu"), "poisson", ""),
        (nn.LSTM(3, 1), "hinge", ""),
        (nn.GRU(3, 4, learn_initial_state=True), SPARSE(from_logits=True), ""),
    ],
)
def test_a_recurrent_layer_at_the_end(layer, loss, text):
    for end in ([], [nn.Dropout(0.5)]):
        model = nn.Sequential(copy.deepcopy(layer), *end, seed=0)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model.compile(loss, "sgd")
            model.build((5, 3))
            model.train_on_batch(np.ones((2, 5, 3)), np.ones((2, 4) if loss == "mse" else 2))
        assert len(seen) == bool(text)
        assert not text or text in str(seen[0].message)


def test_a_layer_that_a_gan_freezes_is_no_fault():
    judge = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    judge.compile(BCE, "sgd")
    judge.trainable = False
    gan = nn.Sequential(nn.Linear(3, 2), judge, seed=0)
    gan.compile(BCE, "sgd")
    before = judge.get_weights()
    with pytest.warns(UserWarning, match="compile again, unless the change is for another model only, as in a GAN"):
        judge.train_on_batch(np.ones((2, 2)), np.ones(2))
    assert not np.array_equal(before[0], judge.get_weights()[0])
    before = judge.get_weights()
    gan.train_on_batch(np.ones((2, 3)), np.ones(2))
    np.testing.assert_array_equal(before[0], judge.get_weights()[0])
