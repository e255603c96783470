"""Initializers: moments within five standard errors, fans and gains against torch, names, and what a custom one may give."""

import math
import pickle

import numpy as np
import pytest

import nncore as nn

SHAPE = (400, 300)  # fan_out, fan_in
DRAWS = SHAPE[0] * SHAPE[1]

#: name, initializer, variance expected, kurtosis of the distribution
VARIANCES = [
    ("xavier_uniform", nn.init.xavier_uniform(), 2 / 700, 1.8),
    ("xavier_uniform gain", nn.init.xavier_uniform(gain=3.0), 18 / 700, 1.8),
    ("xavier_normal", nn.init.xavier_normal(), 2 / 700, 3.0),
    ("he_uniform", nn.init.he_uniform(), 2 / 300, 1.8),
    ("he_uniform fan_out", nn.init.he_uniform(mode="fan_out"), 2 / 400, 1.8),
    ("he_uniform slope", nn.init.he_uniform(nonlinearity="leaky_relu", negative_slope=0.5), 2 / 1.25 / 300, 1.8),
    ("he_normal", nn.init.he_normal(), 2 / 300, 3.0),
    ("he_normal gain", nn.init.he_normal(gain=0.5), 0.25 / 300, 3.0),
    ("lecun_uniform", nn.init.lecun_uniform(), 1 / 300, 1.8),
    ("lecun_normal", nn.init.lecun_normal(), 1 / 300, 3.0),
    ("uniform", nn.init.uniform(-0.3, 0.3), 0.09 / 3, 1.8),
    ("normal", nn.init.normal(std=0.2), 0.04, 3.0),
]


@pytest.mark.parametrize(("name", "initializer", "variance", "kurtosis"), VARIANCES, ids=[row[0] for row in VARIANCES])
def test_mean_and_variance(name, initializer, variance, kurtosis, rng):
    w = initializer(SHAPE, rng)
    assert w.shape == SHAPE
    assert w.dtype == np.float64
    # Five standard errors: of the mean sqrt(v / n), of the variance v sqrt((kurtosis - 1) / n), here 1.3 % and 2 % of v.
    assert abs(w.mean()) < 5 * math.sqrt(variance / DRAWS)
    assert abs((w**2).mean() / variance - 1) < 5 * math.sqrt((kurtosis - 1) / DRAWS)


@pytest.mark.parametrize("name", ["xavier_uniform", "he_uniform", "lecun_uniform"])
def test_uniform_schemes_fill_their_interval(name, rng):
    scheme = nn.init.get(name)
    bound = math.sqrt(3 * scheme.scale / {"fan_in": 300, "fan_avg": 350}[scheme.mode])
    w = scheme(SHAPE, rng)
    assert np.abs(w).max() <= bound
    assert np.abs(w).max() > 0.999 * bound


def test_normal_schemes_are_not_truncated(rng):
    w = nn.init.he_normal()(SHAPE, rng) / math.sqrt(2 / 300)
    assert np.abs(w).max() > 3.5  # 120 000 draws


def test_truncated_normal_against_scipy(rng):
    stats = pytest.importorskip("scipy.stats")
    w = nn.init.truncated_normal(mean=0.5, std=2.0, a=-1.0, b=1.5)(SHAPE, rng).ravel()
    assert w.min() >= -1.0
    assert w.max() <= 1.5
    assert stats.kstest(w, stats.truncnorm((-1 - 0.5) / 2, (1.5 - 0.5) / 2, 0.5, 2.0).cdf).pvalue > 1e-4


def test_truncated_normal_refuses_a_far_tail():
    with pytest.raises(nn.errors.ArgumentError, match="less than 1 %"):
        nn.init.truncated_normal(mean=0.0, std=1.0, a=5.0, b=6.0)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape, rng):
    w = nn.init.orthogonal(gain=2.0)(shape, rng)
    flat = w.reshape(shape[0], -1)
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign(rng):
    first = [nn.init.orthogonal()((3, 3), rng)[0, 0] for _ in range(400)]
    assert abs(np.mean(first)) < 5 / math.sqrt(3 * 400)


def test_constants(rng):
    np.testing.assert_array_equal(nn.init.zeros()((2, 3), rng), np.zeros((2, 3)))
    np.testing.assert_array_equal(nn.init.ones()((2,), rng), np.ones(2))
    np.testing.assert_array_equal(nn.init.constant(-1.5)((2,), rng), [-1.5, -1.5])


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (8, 4, 3), (8, 4, 3, 2)])
def test_fans_against_torch(shape):
    torch = pytest.importorskip("torch")
    assert nn.init.fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


def test_fans_of_a_vector():
    with pytest.raises(nn.errors.ShapeError, match=r"two or more dimensions.*\(3,\)"):
        nn.init.fans((3,))
    with pytest.raises(nn.errors.ShapeError, match=r"not for shape \(3,\)"):
        nn.init.orthogonal()((3,), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [
        ("linear", None),
        ("sigmoid", None),
        ("tanh", None),
        ("relu", None),
        ("leaky_relu", None),
        ("leaky_relu", 0.3),
        ("selu", None),
    ],
)
def test_gain_against_torch(nonlinearity, param):
    torch = pytest.importorskip("torch")
    assert nn.init.gain(nonlinearity, param) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity, param), rel=1e-15)


def test_unknown_names():
    with pytest.raises(
        nn.errors.UnknownNameError, match="Linear: weight_init: unknown initializer 'he_norm'; did you mean 'he_normal'"
    ):
        nn.Linear(2, 1, weight_init="he_norm")
    with pytest.raises(nn.errors.UnknownNameError, match="unknown nonlinearity 'gelu'"):
        nn.init.gain("gelu")
    with pytest.raises(nn.errors.ArgumentError, match="Linear: weight_init must be a name of nn.init or a callable"):
        nn.Linear(2, 1, weight_init=3)
    with pytest.raises(nn.errors.UnknownNameError, match="initializer 'auto'"):
        nn.Linear(2, 1, bias_init="auto")


@pytest.mark.parametrize("name", sorted(nn.init.SCHEMES))
def test_name_function_and_instance_are_the_same(name, rng):
    by_name, by_function = nn.init.get(name), nn.init.get(getattr(nn.init, name))
    assert by_name == by_function == getattr(nn.init, name)()
    assert hash(by_name) == hash(by_function)
    assert pickle.loads(pickle.dumps(by_name)) == by_name
    assert by_name((4, 3), rng).shape == (4, 3)
    assert eval(repr(by_name), vars(nn.init)) == by_name


def test_schemes_differ():
    assert nn.init.he_normal() != nn.init.he_uniform()
    assert nn.init.constant(1.0) != nn.init.constant(2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.init.he_normal(mode="fan"), "mode must be 'fan_in' or 'fan_out' or 'fan_avg', not 'fan'"),
        (lambda: nn.init.normal(std=-1), "std must be a finite number of at least 0, not -1"),
        (lambda: nn.init.uniform(1, 0), "low must not be above high, but they are 1 and 0"),
        (lambda: nn.init.constant(math.nan), "value must be a finite number, not nan"),
        (lambda: nn.init.constant("1"), "value must be a finite number, not '1'"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(nn.errors.ArgumentError, match=message):
        call()


def test_custom_callable_sees_the_shape_of_pytorch():
    seen = []

    def eye(shape, rng):
        seen.append(shape)
        return np.eye(*shape)

    model = nn.Sequential(nn.Linear(3, 2, weight_init=eye), seed=0)
    assert set(seen) == {(2, 3)}
    np.testing.assert_array_equal(model[0].weight, np.eye(2, 3))


@pytest.mark.parametrize(
    ("custom", "error", "message"),
    [
        (
            lambda shape, rng: np.zeros(shape[::-1]),
            nn.errors.ShapeError,
            r"layer 0 \(Linear\): weight.*\(3, 2\).*\(2, 3\) is needed",
        ),
        (lambda shape, rng: np.full(shape, np.nan), nn.errors.NonFiniteError, "not finite in float32"),
        (lambda shape, rng: np.full(shape, 1e300), nn.errors.NonFiniteError, "not finite in float32"),
    ],
)
def test_custom_callable_is_checked(custom, error, message):
    with pytest.raises(error, match=message):
        nn.Sequential(nn.Linear(3, 2, weight_init=custom))


def weights(seed, *layers, dtype="float64"):
    return [layer.weight.copy() for layer in nn.Sequential(*layers, seed=seed, dtype=dtype) if isinstance(layer, nn.Linear)]


def test_seed_decides_the_weights():
    def draw(seed):
        return weights(seed, nn.Linear(4, 5), nn.Linear(5, 2))

    for a, b in zip(draw(7), draw(7), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (draw(7)[0] != draw(8)[0]).all()


def test_changing_one_layer_leaves_the_others():
    before = weights(7, nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 2))
    after = weights(7, nn.Linear(4, 5), nn.Linear(5, 6, bias_init="normal", weight_init="orthogonal"), nn.Linear(6, 2))
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[2], after[2])
    assert (before[1] != after[1]).all()


def test_layers_draw_from_different_streams():
    a, b = weights(7, nn.Linear(5, 5), nn.Linear(5, 5))
    assert (a != b).all()


def test_float32_is_float64_rounded():
    (a,), (b,) = weights(7, nn.Linear(4, 5), dtype="float32"), weights(7, nn.Linear(4, 5), dtype="float64")
    np.testing.assert_array_equal(a, b.astype(np.float32))


HE = nn.init.he_uniform()
AUTO = [
    ((nn.ReLU(),), HE),
    ((nn.LeakyReLU(0.3),), nn.init.he_uniform(nonlinearity="leaky_relu", negative_slope=0.3)),
    ((nn.ELU(),), HE),
    ((nn.GELU(),), HE),
    ((nn.SiLU(),), HE),
    ((nn.Softplus(),), HE),
    ((nn.ReLU6(),), HE),
    ((nn.Hardswish(),), HE),
    ((nn.Mish(),), HE),
    ((nn.CELU(),), HE),
    ((nn.Threshold(0.0, 0.0),), HE),
    ((nn.Hardsigmoid(),), nn.init.xavier_uniform()),
    ((nn.Dropout(), nn.Flatten(), nn.ReLU()), HE),
    ((nn.SELU(),), nn.init.lecun_normal()),
    ((nn.Tanh(),), nn.init.xavier_uniform()),
    ((nn.Sigmoid(),), nn.init.xavier_uniform()),
    ((nn.Softmax(),), nn.init.xavier_uniform()),
    ((), nn.init.xavier_uniform()),
    ((nn.Linear(6, 2), nn.ReLU()), nn.init.xavier_uniform()),
    ((nn.Tanh(), nn.ReLU()), nn.init.xavier_uniform()),
]


@pytest.mark.parametrize(
    ("after", "scheme"), AUTO, ids=[" ".join(type(layer).__name__ for layer in row[0]) or "end" for row in AUTO]
)
def test_auto_looks_at_what_follows(after, scheme):
    (auto, *_) = weights(3, nn.Linear(7, 6), *after)
    (named, *_) = weights(3, nn.Linear(7, 6, weight_init=scheme))
    np.testing.assert_array_equal(auto, named)
