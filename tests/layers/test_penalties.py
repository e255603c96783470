"""L1, L2 and max-norm of every layer with weight matrices: in the loss, in the gradient, in files and copies."""

import copy

import numpy as np
import pytest

import nncore as nn

RNG = np.random.default_rng(5)
ROWS = 6


class Scaled(nn.PythonLayer):
    def build(self, input_shape):
        self.add_weight("matrix", (*input_shape, 2), init="xavier_uniform", l1=0.03, l2=0.07)
        self.add_weight("free", (2,), init="uniform")

    def output_shape(self, input_shape):
        return (2,)

    def forward(self, x, training=False):
        return x @ self.matrix + self.free

    def backward(self, dy, x, y):
        self.grads["matrix"][...] = x.T @ dy
        self.grads["free"][...] = dy.sum(axis=0)
        return dy @ self.matrix.T


BOTH = {"l1": 0.03, "l2": 0.07}
LAYERS = {
    "Linear": lambda **o: nn.Linear(3, 2, **o),
    "Maxout": lambda **o: nn.Maxout(3, 2, pieces=3, **o),
    "Embedding": lambda **o: nn.Embedding(5, 2, **o),
    "RNN": lambda **o: nn.RNN(3, 2, learn_initial_state=True, **o),
    "GRU": lambda **o: nn.GRU(3, 2, num_layers=2, bidirectional=True, **o),
    "LSTM": lambda **o: nn.LSTM(3, 2, return_sequences=True, **o),
}


def made(name, **options):
    """A model of the layer, and data."""
    layer = LAYERS[name](**options)
    if name == "Embedding":
        x = RNG.integers(5, size=(ROWS, 3))
    else:
        x = RNG.normal(size=(ROWS, 4, 3) if isinstance(layer, nn.Recurrent) else (ROWS, 3))
    model = nn.Sequential(layer, seed=3, dtype="float64").build(x.shape[1:])
    return model, x, RNG.normal(size=(ROWS, *model.output_shapes[0]))


def matrices(model):
    return {name: value for name, value in model.named_parameters() if "weight" in name or "matrix" in name}


def slope(model, x, y, view, index, step=1e-6):
    start, ends = view[index], []
    for end in (start + step, start - step):
        view[index] = end
        ends.append(model.evaluate(x, y))
    view[index] = start
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize("name", [*LAYERS, "python", "shared"])
def test_the_gradient_is_that_of_the_reported_loss(name):
    """A step of gradient descent against finite differences of what evaluate reports."""
    if name == "python":
        model, x = nn.Sequential(Scaled(), seed=3, dtype="float64").build((3,)), RNG.normal(size=(ROWS, 3))
        y = RNG.normal(size=(ROWS, 2))
    elif name == "shared":  # counted once
        layer, place = nn.GRU(3, 3, return_sequences=True, **BOTH), nn.Input((4, 3))
        model = nn.Model(place, layer(layer(place)), seed=3, dtype="float64")
        x, y = RNG.normal(size=(ROWS, 4, 3)), RNG.normal(size=(ROWS, 4, 3))
    else:
        model, x, y = made(name, **BOTH)
    model.compile("mse", nn.optim.SGD(lr=1.0))
    penalty = sum(0.03 * np.abs(w).sum() + 0.07 * (w**2).sum() for w in matrices(model).values())
    assert penalty > 0.01
    data = ((model.predict(x) - y) ** 2).mean()
    np.testing.assert_allclose(model.evaluate(x, y), data + penalty, rtol=1e-12)

    expected = {n: np.array([slope(model, x, y, view, i) for i in np.ndindex(view.shape)]) for n, view in model.named_parameters()}
    before = model.state_dict()
    np.testing.assert_allclose(model.train_on_batch(x, y), data + penalty, rtol=1e-12)
    for n, view in model.named_parameters():
        np.testing.assert_allclose((before[n] - view).ravel(), expected[n], rtol=1e-6, atol=1e-8, err_msg=n)


@pytest.mark.parametrize(
    "clip", [{"clip_norm": 0.5}, {"clip_norm_each": 0.5}, {"clip_value": 0.01}, {"clip_norm": 1.0, "clip_value": 0.01}], ids=str
)
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("hidden", [37, 600])  # the larger net updates each task while it is in cache
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_takes_penalties_for_part_of_the_gradient(clip, rule, hidden, dtype):
    """As where they are written into the loss of PyTorch, while weight decay is the update's; for 200 steps."""
    torch = pytest.importorskip("torch")
    options = {"lr": 0.02 if rule == "SGD" else 1e-3, "weight_decay": 0.02}
    x, y = RNG.normal(size=(40, 5)).astype(dtype), RNG.normal(size=(40, 2)).astype(dtype)
    model = nn.Sequential(nn.Linear(5, hidden, l1=0.02, l2=0.3), nn.Tanh(), nn.Linear(hidden, 2, l2=0.1), seed=0, dtype=dtype)
    model.compile("mse", getattr(nn.optim, rule)(**options, **clip))
    module = torch.nn.Sequential(torch.nn.Linear(5, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 2)).to(getattr(torch, dtype))
    module.load_state_dict({key: torch.tensor(value) for key, value in model.state_dict().items()})
    theirs, data = getattr(torch.optim, rule)(module.parameters(), **options), (torch.tensor(x), torch.tensor(y))
    clipped, expected = 0, []
    for _ in range(200):
        w, v = module[0].weight, module[2].weight
        loss = torch.nn.functional.mse_loss(module(data[0]), data[1])
        loss = loss + 0.02 * w.abs().sum() + 0.3 * (w**2).sum() + 0.1 * (v**2).sum()
        theirs.zero_grad()
        loss.backward()
        if "clip_norm" in clip:
            clipped += torch.nn.utils.clip_grad_norm_(module.parameters(), clip["clip_norm"]) > clip["clip_norm"]
        for p in module.parameters() if "clip_norm_each" in clip else ():
            norm = p.grad.norm()
            clipped += norm > 0.5
            p.grad *= min(1.0, 0.5 / norm)
        if "clip_value" in clip:
            clipped += w.grad.abs().max() > 0.01
            torch.nn.utils.clip_grad_value_(module.parameters(), 0.01)
        theirs.step()
        expected.append(loss.item())
    assert clipped > 10
    found = []
    for threads in (1, 2) * 100:
        with nn.threads(threads):
            found.append(model.train_on_batch(x, y))
    np.testing.assert_allclose(found, expected, rtol=1e-10 if dtype == "float64" else 1e-4)


def test_check_gradients_looks_at_the_data(capsys):
    model, x, y = made("Linear", **BOTH, max_norm=0.1)
    model.compile("mse", "sgd", l2=0.5)
    assert nn.check_gradients(model, x, y)


@pytest.mark.parametrize("name", LAYERS)
def test_compile_penalises_matrices_alone(name):
    model, x, y = made(name)
    model.compile("mse", "sgd", l2=0.5)
    penalty = sum(0.5 * (w**2).sum() for w in matrices(model).values())
    np.testing.assert_allclose(model.evaluate(x, y), ((model.predict(x) - y) ** 2).mean() + penalty, rtol=1e-12)


def test_gains_are_no_weight_matrices():
    model = nn.Sequential(nn.LayerNorm((2, 3)), seed=0)
    model.compile("mse", "sgd", l2=0.5)
    x = np.zeros((2, 2, 3))
    assert model.evaluate(x, x) == 0


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("ema", [None, 0.5])
def test_max_norm_limits_units(name, ema):
    """One long step with and without the limit: what is too long becomes as long as allowed, all else keeps its bits."""
    limited, x, y = made(name)
    limited[0].max_norm = 0.4
    free = copy.deepcopy(limited)
    free[0].max_norm = None
    for model in (limited, free):
        model.compile("mse", nn.optim.SGD(lr=0.5, ema_momentum=ema))
        model.train_on_batch(x, y)
    scaled = 0
    kept = matrices(free)
    for n, view in limited.named_parameters():
        if n not in kept:
            np.testing.assert_array_equal(view, dict(free.named_parameters())[n])
            continue
        norms = np.linalg.norm(kept[n], axis=1, keepdims=True)
        scaled += (norms > 0.4).sum()
        np.testing.assert_allclose(view, np.where(norms > 0.4, kept[n] * 0.4 / norms, kept[n]), rtol=1e-12)
        np.testing.assert_array_equal(view[norms[:, 0] <= 0.4], kept[n][norms[:, 0] <= 0.4])
    assert scaled
    if ema:  # the average starts with what the limit left
        with limited.averaged_weights():
            for n, view in limited.named_parameters():
                np.testing.assert_allclose(np.linalg.norm(view, axis=-1).max() if n in kept else 0.0, 0.4 if n in kept else 0.0)


@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_of_an_embedding_as_in_torch(threads):
    torch = pytest.importorskip("torch")
    x, y = RNG.integers(50, size=(200, 8, 3)), 10 + RNG.normal(size=(200, 8, 1))
    model = nn.Sequential(nn.Embedding(50, 4, max_norm=1.0), nn.Flatten(), nn.Linear(12, 1), seed=0, dtype="float64").build((3,))
    assert np.linalg.norm(model[0].weight, axis=1).max() <= 1 + 1e-12
    table, last = torch.nn.Embedding(50, 4, max_norm=1.0, dtype=torch.float64), torch.nn.Linear(12, 1, dtype=torch.float64)
    with torch.no_grad():
        table.weight.copy_(torch.tensor(np.array(model[0].weight)))
        last.weight.copy_(torch.tensor(np.array(model[2].weight)))
        last.bias.copy_(torch.tensor(np.array(model[2].bias)))
    model.compile("mse", nn.optim.SGD(lr=0.02))
    theirs = torch.optim.SGD([*table.parameters(), *last.parameters()], lr=0.02)
    reached = 0
    with nn.threads(threads):
        for a, b in zip(x, y, strict=True):
            loss = torch.nn.functional.mse_loss(last(table(torch.tensor(a)).flatten(1)), torch.tensor(b))
            theirs.zero_grad()
            loss.backward()
            theirs.step()
            np.testing.assert_allclose(model.train_on_batch(a, b), loss.item(), rtol=1e-5)
            reached += (np.linalg.norm(model[0].weight, axis=1) > 0.999999).sum()
    assert reached > 50


@pytest.mark.parametrize("name", LAYERS)
def test_copies_files_and_changes(name, tmp_path):
    model, x, y = made(name, l1=0.1, l2=0.2, max_norm=1.5)
    assert "l1=0.1, l2=0.2, max_norm=1.5" in repr(model[0]) or "max_norm=1.5" in repr(model[0])
    model.compile("mse", "adam")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.safetensors")
    for again in (copy.deepcopy(model), nn.load(tmp_path / "model.safetensors")):
        assert again[0].config() == model[0].config()
        np.testing.assert_array_equal(again.evaluate(x, y), model.evaluate(x, y))
    model[0].l1 = model[0].l2 = model[0].max_norm = None
    assert "l1" not in repr(model[0])
    model.compile("mse", "adam")
    np.testing.assert_allclose(model.evaluate(x, y), ((model.predict(x) - y) ** 2).mean(), rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("option", "value"), [("l1", -0.1), ("l2", "much"), ("max_norm", 0.0), ("l2", np.inf)])
def test_refusals(name, option, value):
    with pytest.raises(nn.errors.ArgumentError, match=f"{name}: {option} must be"):
        LAYERS[name](**{option: value})
    layer = LAYERS[name]()
    with pytest.raises(nn.errors.ArgumentError, match=f"{name}: {option} must be"):
        setattr(layer, option, value)


def test_no_units_are_known_in_a_layer_of_ones_own():
    model = nn.Sequential(Scaled()).build((3,))
    with pytest.raises(nn.errors.ArgumentError, match="0.matrix"):
        model.compile("mse", nn.optim.SGD(groups=[{"params": "0.*", "max_norm": 1.0}]))
    model.compile("mse", nn.optim.SGD(groups=[{"params": "0.free", "max_norm": 1.0}]))
