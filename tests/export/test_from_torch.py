"""from_torch: what a module computes is the truth, in outputs, in a step of SGD, and there and back."""

import copy
import importlib

import numpy as np
import pytest
from export.torch_modules import assert_same, module_of

import nncore as nn
from nncore.errors import ArgumentError, ShapeError


@pytest.fixture(scope="module")
def torch():
    found = pytest.importorskip("torch")
    threads = found.get_num_threads()
    found.set_num_threads(1)  # small tensors take longer with several
    yield found
    found.set_num_threads(threads)


@pytest.fixture(scope="module")
def nets(torch):
    return importlib.import_module("export.torch_nets")


# Random modules --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, 210, 30))
def test_random_modules(torch, nets, first):
    for seed in range(first, first + 30):
        module, rng = nets.random_module(seed)
        (x,) = module.example(rng, 5)
        x = x.to(next(module.parameters()).dtype) if x.is_floating_point() else x
        module.train(bool(seed % 2))
        before = copy.deepcopy(module.state_dict())
        model = nn.from_torch(module, example=x if seed % 4 == 0 or type(module).__name__ == "Dense" else None)
        assert all(each.training == bool(seed % 2) for each in module.modules()), seed
        steps = getattr(module, "read", "") == "sequence"
        rows = nets.batch_first(module, x)
        module.eval()
        target = module(x)
        want = nets.batch_first(module, target) if steps else target.detach().numpy()
        scale = 1 + np.abs(want).max()
        found = model(rows)
        limit = 1e-5 if want.dtype == np.float32 else 1e-12
        assert found.dtype == want.dtype, seed
        np.testing.assert_allclose(found / scale, want / scale, rtol=0, atol=limit, err_msg=f"seed {seed}")
        back = model.state_dict(torch=True, names=module)
        assert all(torch.equal(back[key], value) and back[key].dtype == value.dtype for key, value in before.items()), seed
        module.load_state_dict(back)
        if seed % 3 == 0:
            assert_same_step(torch, nets, module, model, x, target, steps, seed)


def assert_same_step(torch, nets, module, model, x, target, steps, seed):
    """Compare all weights and statistics after a step of SGD."""
    module.train()
    y = torch.ones_like(target)
    ((module(x) - y) ** 2).mean().backward()
    torch.optim.SGD(module.parameters(), lr=0.05).step()
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.05))
    model.train_on_batch(nets.batch_first(module, x), nets.batch_first(module, y) if steps else y.numpy())
    found = model.state_dict(names=module)
    # The derivatives of PyTorch's Hardsigmoid and CELU have constants of float32 in float64, too.
    rough = any(type(each).__name__ in ("Hardsigmoid", "CELU") for each in module.modules())
    limit = 2e-5 if target.dtype == torch.float32 else 1e-7 if rough else 1e-11
    for key, value in module.state_dict().items():
        scale = 1 + float(value.abs().max())
        np.testing.assert_allclose(found[key] / scale, value.numpy() / scale, rtol=0, atol=limit, err_msg=f"seed {seed}: {key}")


# Single layers ---------------------------------------------------------------------------------------------------------------


def test_every_activation_of_the_table(torch, nets):
    x = torch.randn(4, 6) * 3
    for make in nets.ACTIVATIONS:
        module = make()
        assert_same(module, nn.from_torch(module, example=x), x.clone())


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_recurrent_modules_alone(torch, kind, batch_first):
    for layers, both, bias in ((1, False, True), (2, False, False), (1, True, True), (3, True, True)):
        module = getattr(torch.nn, kind)(3, 4, layers, bias=bias, bidirectional=both, batch_first=batch_first).double()
        model = nn.from_torch(module)
        x = torch.randn(5, 7, 3).double()
        output, state = module(x)
        found = model(x.numpy() if batch_first else x.numpy().swapaxes(0, 1))
        np.testing.assert_allclose(found[0], output.detach() if batch_first else output.detach().swapaxes(0, 1), atol=1e-12)
        for ours, theirs in zip(found[1:], state if kind == "LSTM" else [state], strict=True):
            np.testing.assert_allclose(ours.reshape(len(ours), -1, 4), theirs.detach().swapaxes(0, 1), atol=1e-12)


@pytest.mark.parametrize(("affine", "tracks", "momentum"), [(True, True, 0.3), (False, True, None), (True, False, 0.1)])
def test_batch_norm_keeps_its_statistics_and_conventions(torch, affine, tracks, momentum):
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(3, 0.01, momentum, affine, tracks))
    for _ in range(3):
        module(torch.randn(8, 3, 5) * 2 + 1)
    model = nn.from_torch(module, example=torch.zeros(1, 3, 5))
    x = torch.randn(8, 3, 5)
    assert_same(module, model, x)
    assert (model[0].eps, model[0].momentum) == (0.01, momentum)
    module.train()
    np.testing.assert_allclose(model.forward(x.numpy(), training=True), module(x).detach(), atol=1e-5)
    for key, value in module.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[key], value, atol=1e-6)


def test_an_embedding_keeps_its_vectors(torch):
    module = torch.nn.Sequential(torch.nn.Embedding(5, 3, padding_idx=2, max_norm=0.7))
    module[0].weight.data[2] = 3.0  # it is loaded as it is
    model = nn.from_torch(module)
    x = torch.arange(5)[None]
    assert_same(module, model, x)
    assert (model[0].padding_idx, model[0].max_norm) == (2, 0.7)


def test_frozen_modules_are_frozen(torch):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    module[0].requires_grad_(False)
    assert [layer.trainable for layer in nn.from_torch(module)] == [False, True, True]
    module[2].bias.requires_grad_(False)
    with pytest.warns(UserWarning, match="only some parameters of Linear have requires_grad"):
        nn.from_torch(module)


@pytest.mark.parametrize(("dtype", "ours"), [("float16", "float32"), ("bfloat16", "float32"), ("float64", "float64")])
def test_types(torch, dtype, ours):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3)).to(getattr(torch, dtype))
    model = nn.from_torch(module)
    assert model.dtype == ours
    np.testing.assert_array_equal(model[0].weight, module[0].weight.detach().double().numpy())


def test_nothing_is_shared(torch):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    model = nn.from_torch(module)
    before = model.state_dict()
    with torch.no_grad():
        for each in (*module.parameters(), *module.buffers()):
            each.add_(1)
    assert all((model.state_dict()[key] == value).all() for key, value in before.items())
    tensors = model.state_dict(torch=True)
    tensors["0.weight"].zero_()
    assert model[0].weight.any()


# What forward does -----------------------------------------------------------------------------------------------------------


def test_named_sub_modules_have_their_keys(torch):
    module = module_of(
        torch, lambda self, x: self.out(torch.relu(self.fc1(x))), fc1=torch.nn.Linear(4, 5), out=torch.nn.Linear(5, 2)
    )
    model = nn.from_torch(module)
    assert list(model.state_dict()) == list(module.state_dict())
    module.load_state_dict(model.state_dict(torch=True))


def test_several_inputs_and_outputs_by_name(torch):
    def forward(self, wide, deep):
        h = self.deep(deep)
        joined = torch.cat([self.wide(wide), h], dim=-1)
        return {"score": joined.sigmoid(), "hidden": h}

    module = module_of(torch, forward, wide=torch.nn.Linear(3, 2), deep=torch.nn.Linear(4, 2))
    model = nn.from_torch(module)
    assert (model.input_names, model.output_names) == (["wide", "deep"], ["score", "hidden"])
    assert_same(module, model, torch.randn(5, 3), torch.randn(5, 4))


def test_an_output_twice_and_an_input_as_output(torch):
    def forward(self, x):
        y = self.fc(x)
        return y, (y, x)

    module = module_of(torch, forward, fc=torch.nn.Linear(3, 3))
    model = nn.from_torch(module)
    x = torch.randn(2, 3)
    y = module(x)[0].detach()
    for found, wanted in zip(model(x.numpy()), (y, y, x), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_an_encoder_gives_its_state_to_a_decoder(torch):
    def forward(self, source, target):
        _, state = self.encoder(source)
        output, _ = self.decoder(target, state)
        return self.head(output)

    for kind, layers in (("LSTM", 1), ("GRU", 2)):
        parts = [getattr(torch.nn, kind)(n, 5, layers, batch_first=True) for n in (3, 2)]
        module = module_of(torch, forward, encoder=parts[0], decoder=parts[1], head=torch.nn.Linear(5, 4))
        assert_same(module, nn.from_torch(module), torch.randn(6, 7, 3), torch.randn(6, 4, 2))


def test_initial_states_are_inputs(torch):
    def forward(self, x, h0):
        return self.rnn(x, h0)[0]

    module = module_of(torch, forward, rnn=torch.nn.GRU(3, 4, 2, batch_first=True))
    x, h0 = torch.randn(5, 6, 3), torch.randn(2, 5, 4)
    want = module(x, h0).detach()
    for model in (nn.from_torch(module), nn.from_torch(module, example=(x, h0))):
        np.testing.assert_allclose(model([x.numpy(), h0.numpy().swapaxes(0, 1)]), want, atol=1e-5)


def test_a_state_made_of_features(torch):
    def forward(self, x, features):
        return self.rnn(x, torch.tanh(self.start(features)).unsqueeze(0))[0]

    module = module_of(torch, forward, rnn=torch.nn.GRU(3, 4, batch_first=True), start=torch.nn.Linear(2, 4))
    assert_same(module, nn.from_torch(module), torch.randn(5, 6, 3), torch.randn(5, 2))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("both", [False, True])
def test_ways_to_the_last_states(torch, layers, both):
    directions = 1 + both
    ways = {
        "slice": lambda h, n: h[-directions:].transpose(0, 1).reshape(n, -1),
        "view": lambda h, n: torch.cat(sides(h.view(layers, directions, n, 4)[-1], directions), dim=1),
        "permute": lambda h, n: h.permute(1, 0, 2).flatten(1)[:, None].squeeze(1),
    }
    for name, way in ways.items():
        wide = 4 * directions * (layers if name == "permute" else 1)
        rnn = torch.nn.LSTM(3, 4, layers, batch_first=True, bidirectional=both)

        def forward(self, x):
            _, (h, _) = self.rnn(input=x)
            return self.head(self.way(h, x.size(0)))

        module = module_of(torch, forward, rnn=rnn, head=torch.nn.Linear(wide, 2))
        module.way = way
        assert_same(module, nn.from_torch(module), torch.randn(5, 6, 3))


def sides(h, directions):
    return [h[i] for i in range(directions)]


def test_features_that_are_joined_to_embeddings(torch):
    def forward(self, kind, place, numbers):
        return self.out(torch.cat([self.kind(kind), self.place(place), numbers], dim=-1))

    parts = {"kind": torch.nn.Embedding(5, 3), "place": torch.nn.Embedding(7, 2), "out": torch.nn.Linear(9, 2)}
    module = module_of(torch, forward, **parts)
    model = nn.from_torch(module)
    assert model.input_shapes == [(), (), (4,)]
    assert_same(module, model, torch.randint(0, 5, (6,)), torch.randint(0, 7, (6,)), torch.randn(6, 4))


def test_arguments_with_defaults_keep_them_unless_the_example_has_them(torch):
    def forward(self, x, skip=None, scale=2.0):
        y = self.fc(x) * scale
        return y if skip is None else y + skip

    module = module_of(torch, forward, fc=torch.nn.Linear(3, 4))
    x, skip = torch.randn(5, 3), torch.randn(5, 4)
    assert_same(module, nn.from_torch(module), x)
    assert_same(module, nn.from_torch(module, example=(x, skip)), x, skip)
    assert nn.from_torch(module, example={"x": x, "skip": skip}).input_names == ["x", "skip"]
    with pytest.raises(ArgumentError, match="example has other, but forward takes x, skip, scale"):
        nn.from_torch(module, example={"other": x})


def test_a_batch_of_images_needs_an_example(torch):
    def forward(self, x):
        return self.fc(x.view(x.size(0), -1)).squeeze(1)

    module = module_of(torch, forward, fc=torch.nn.Linear(12, 1))
    with pytest.raises(ArgumentError, match="the argument 'x' of forward is not known .* give example=x"):
        nn.from_torch(module)
    x = torch.randn(5, 1, 3, 4)
    model = nn.from_torch(module, example=x)
    np.testing.assert_allclose(model(x.numpy())[:, 0], module(x).detach(), atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda torch, x: x.permute(0, 2, 1),
        lambda torch, x: x.transpose(1, 2).reshape(len_of(x), 2, -1),
        lambda torch, x: torch.flatten(x, 1).unflatten(1, (3, -1)),
        lambda torch, x: x[:, None].squeeze(1),
        lambda torch, x: torch.stack([x, x], dim=2).flatten(1, 2),
        lambda torch, x: x.mean(dim=1, keepdim=True) + x,
        lambda torch, x: x.max(dim=1).values,
        lambda torch, x: x[:, -1, :],
        lambda torch, x: x.unsqueeze(-1)[..., None].flatten(2),
        lambda torch, x: x.view(-1, 12),
        lambda torch, x: x.transpose(0, 1)[-1],
        lambda torch, x: x.transpose(0, 1).mean(0),
        lambda torch, x: torch.cat((x, x), dim=-2),
    ],
)
def test_shapes(torch, change):
    module = module_of(torch, lambda self, x: torch.tanh(change(torch, x)) * 2)
    x = torch.randn(6, 4, 3)
    assert_same(module, nn.from_torch(module, example=x), x)


def test_parts_of_time_are_those_of_any_sequence_or_of_one_number_of_steps(torch):
    """Numbers in forward hold for other sequences, as in torch; numbers that come from the size of the example do not."""

    def any_number(self, x):
        steps = self.fc(x)
        return (steps[:, 1:] - steps[:, :-1]).flip(1)[:, :4].mean(1), steps[:, 0], steps[:, -2, :2], steps.roll(1, 1)[:, ::2]

    module = module_of(torch, any_number, fc=torch.nn.Linear(3, 4))
    model = nn.from_torch(module, example=torch.randn(2, 6, 3))
    assert not any(isinstance(layer, nn.BatchNorm1d) or not layer.trainable for layer in model.layers)
    for steps in (6, 9, 5):
        assert_same(module, model, torch.randn(3, steps, 3))
    for divided in (
        lambda self, x: self.fc(x).chunk(2, dim=1)[0],
        lambda self, x: self.fc(x).split(3, dim=1)[0],
        lambda self, x: self.fc(x)[:, x.size(1) // 2 :],
        lambda self, x: self.fc(x).narrow(1, 0, x.shape[1] // 2),
        lambda self, x: self.fc(x)[:, x.size(1) // 2],
    ):
        module = module_of(torch, divided, fc=torch.nn.Linear(3, 4))
        model = nn.from_torch(module, example=torch.randn(2, 6, 3))
        assert_same(module, model, torch.randn(3, 6, 3))
        with pytest.raises(ShapeError):
            model(np.zeros((3, 8, 3), np.float32))


def test_other_lists_of_indices_are_refused(torch):
    for index in ([True, False, True], [[0, 1]]):
        module = module_of(torch, lambda self, x, index=index: self.fc(x)[:, index], fc=torch.nn.Linear(3, 3))
        with pytest.raises(ArgumentError, match="index"):
            nn.from_torch(module)


def len_of(x):
    return x.shape[0]


def test_in_place_calls_change_what_reads_the_tensor_later(torch):
    def forward(self, x):
        h = self.fc(x)
        torch.nn.functional.relu(h, inplace=True)
        h += 1
        y = h.mul_(2)
        return h - y * 0.5

    module = module_of(torch, forward, fc=torch.nn.Linear(3, 4))
    assert_same(module, nn.from_torch(module), torch.randn(5, 3))


def test_dropout_is_dropout_in_train_and_in_eval_mode(torch):
    def forward(self, x):
        return torch.nn.functional.dropout(self.fc(x), 0.25, training=self.training)

    module = module_of(torch, forward, fc=torch.nn.Linear(3, 4))
    for mode in (True, False):
        found = [layer for layer in nn.from_torch(module.train(mode)).layers if isinstance(layer, nn.Dropout)]
        assert [layer.p for layer in found] == [0.25]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_wrapped_modules(torch):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    for wrapped in (torch.nn.DataParallel(module), torch.compile(module)):
        model = nn.from_torch(wrapped)
        assert_same(module, model, torch.randn(4, 3))
        model.load_state_dict({key: value + 1 for key, value in wrapped.state_dict().items()})
        np.testing.assert_allclose(model[0].bias, module[0].bias.detach() + 1)
