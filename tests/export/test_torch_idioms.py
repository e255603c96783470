"""from_torch of modules as people write them: the outputs, a step of SGD, and the weights there and back."""

import importlib

import numpy as np
import pytest
from export.torch_modules import module_of, outputs

import nncore as nn
from nncore.errors import ArgumentError

torch = pytest.importorskip("torch")
IDIOMS = importlib.import_module("export.torch_idioms").FOUND
TIME_FIRST = {"words_with_time_first"}
#: Whose computation depends on the number of steps, so that they need an example.
FIXED = {"weighted_sum_over_time", "sequence_autoencoder", "forecast_less_the_last_value", "differences_of_steps"}


@pytest.mark.parametrize("name", IDIOMS)
def test_idioms(name):
    module, x = IDIOMS[name]()
    module = module.double()
    x = [each.double() if each.is_floating_point() else each for each in x]
    model = nn.from_torch(module, example=x if len(x) > 1 else x[0])
    to = (lambda array: array.swapaxes(0, 1)) if name in TIME_FIRST else (lambda array: array)
    theirs, ours = outputs(module, model, *x, to=to)
    for a, b in zip(theirs, ours, strict=True):
        if name in TIME_FIRST:  # [N * time, features] there, [N, time, features] here
            b = b.swapaxes(0, 1)
        np.testing.assert_allclose(b.reshape(a.shape), a, atol=1e-12)

    module.train()
    found = module(*x)
    sum(((each - 1) ** 2).mean() for each in (found if isinstance(found, tuple) else [found])).backward()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    given, targets = [to(each.numpy()) for each in x], [np.ones_like(each) for each in ours]
    model.train_on_batch(given if len(given) > 1 else given[0], targets if len(targets) > 1 else targets[0])
    back = model.state_dict(torch=True, names=module)
    assert {*back} == {key for key, _ in module.named_parameters()}
    for key, value in module.named_parameters():
        np.testing.assert_allclose(back[key], value.detach(), atol=1e-11, err_msg=key)
    model.load_state_dict(module.state_dict(), strict=name not in ("standardized", "features_in_another_order"))
    assert not any((layer.name or "").startswith("fixed_") and isinstance(layer, nn.Linear) for layer in model.layers)


@pytest.mark.parametrize(
    "name", ["characters_with_time_in_the_batch", "sentiment_of_the_last_score", "both_ends_of_the_outputs", "the_first_step"]
)
def test_the_number_of_steps_stays_open(name):
    module, (x,) = IDIOMS[name]()
    model = nn.from_torch(module)
    longer = torch.cat([x, x], dim=1)
    theirs, ours = outputs(module, model, longer)
    np.testing.assert_allclose(ours[0].reshape(theirs[0].shape), theirs[0], atol=1e-5)


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_depends_on_the_number_of_steps_needs_an_example(name):
    module, (x,) = IDIOMS[name]()
    with pytest.raises(ArgumentError, match="give example=x"):
        nn.from_torch(module)
    model = nn.from_torch(module, example=x)
    if name != "sequence_autoencoder":  # whose encoder takes any number
        with pytest.raises(nn.errors.ShapeError):
            model.predict(np.zeros((2, 11, 3)))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: self.fc(x)[1:], "chooses samples of the batch"),
        (lambda self, x: self.fc(x)[:, 4], "the index 4 of a dimension of size 4"),
        (lambda self, x: self.fc(x)[:, 4:], "that is empty"),
        (lambda self, x: self.fc(x)[:, [0, 4]], r"takes index 4 of \[\*, 4\]"),
        (lambda self, x: self.fc(x)[:, [True, False, True, True]], r"the index \[True, False, True, True\]; whole numbers"),
        (lambda self, x: self.fc(x)[:, "a"], "numbers, lists of numbers, slices and None are possible"),
        (lambda self, x: self.fc(x).flip(0), "chooses samples of the batch"),
        (lambda self, x: self.fc(x) // 2, "a division that rounds"),
        (lambda self, x: self.fc(x).sum(), "which joins the samples of the batch"),
        (lambda self, x: self.fc(x).repeat(2, 1), "chooses samples of the batch"),
        (lambda self, x: self.shift + x, "'shift' of shape"),
    ],
)
def test_refused_parts(forward, message):
    module = module_of(torch, forward, fc=torch.nn.Linear(3, 4))
    module.register_buffer("shift", torch.ones(2, 3))
    with pytest.raises(ArgumentError, match=message):
        nn.from_torch(module, example=torch.zeros(2, 3))


def steps_of(rng, y):
    """Ways to go on from a tensor, of which one is chosen: each is a call on one of its dimensions."""
    k = int(rng.integers(1, y.dim()))
    n = y.shape[k]
    i, a = int(rng.integers(-n, n)), int(rng.integers(n))
    before = (slice(None),) * k
    return [
        lambda x: x.select(k, i).abs(),
        lambda x: x[(*before, slice(a, None))],
        lambda x: x[(*before, i)] - 1,
        lambda x: x[(..., slice(None, None, 2), *[slice(None)] * (y.dim() - 1 - k))],
        lambda x: x.mean(k),
        lambda x: x.sum(dim=k, keepdim=True),
        lambda x: x.max(dim=k)[0],
        lambda x: x.min(k, keepdim=True).values,
        lambda x: torch.softmax(x, k),
        lambda x: torch.cat([x, torch.tanh(x)], k),
        lambda x: torch.stack([x, 2 * x], k),
        lambda x: x.unsqueeze(k).expand(*[-1] * k, 3, *[-1] * (y.dim() - k)),
        lambda x: x.chunk(2, k)[0],
        lambda x: x.unbind(k)[-1],
        lambda x: x.repeat(*[1] * k, 2, *[1] * (y.dim() - k - 1)),
        lambda x: x.transpose(k, -1),
        lambda x: x.flip(k),
        lambda x: torch.roll(x, a + 1, k),
        lambda x: x[(*before, [a, i, a])],
        lambda x: x.diff(dim=k) if n > 1 else x,
        lambda x: x.tensor_split(2, k)[0] if n > 1 else x,
        lambda x: x.narrow(k, a, n - a).movedim(k, -1),
        lambda x: x.flatten(1),
        lambda x: torch.relu(x.reshape(-1, x.size(2))).view(x.size(0), -1, x.size(2)) if y.dim() == 3 else x,
    ]


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_random_chains(first):
    for seed in range(first, first + 40):
        rng = np.random.default_rng(seed)
        x = y = torch.from_numpy(rng.normal(size=(3, *[(4, 3), (6,), (2, 3, 4), (5, 1)][seed % 4])))
        chain = []
        for _ in range(rng.integers(1, 6)):
            if y.dim() > 1 and y.numel() < 4000:
                chain.append(steps_of(rng, y)[rng.integers(24)])
                y = chain[-1](y)

        def forward(self, x):
            for change in self.chain:
                x = change(x)
            return x * 1.0

        module = module_of(torch, forward)
        module.chain = chain
        module.register_buffer("kind", torch.zeros(1, dtype=torch.float64))
        found = nn.from_torch(module, example=x)(x.numpy())
        np.testing.assert_allclose(found.reshape(y.shape), y, atol=1e-12, err_msg=f"seed {seed}")


def test_an_index_made_of_the_number_of_dimensions():
    module = module_of(torch, lambda self, x: self.fc(x)[(slice(None),) * (x.dim() - 1) + (0,)], fc=torch.nn.Linear(3, 4))
    x = torch.randn(5, 3)
    np.testing.assert_allclose(nn.from_torch(module, example=x)(x.numpy())[:, 0], module(x).detach(), atol=1e-6)


def test_columns_of_indices_are_refused(tmp_path):
    module = module_of(torch, lambda self, x: self.a(x[:, 0]), a=torch.nn.Embedding(5, 2))
    with pytest.raises(ArgumentError, match="make them an argument of forward of their own"):
        nn.from_torch(module, example=torch.zeros(2, 3, dtype=torch.long))


def test_models_with_fixed_layers_are_saved_and_exported(tmp_path):
    module, (x,) = IDIOMS["directions_added"]()
    model = nn.from_torch(module, example=x)
    model.save(tmp_path / "m.safetensors")
    again = nn.load(tmp_path / "m.safetensors")
    again.load_state_dict(module.state_dict())
    assert {*again.state_dict(names=module)} == {*module.state_dict()}
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
