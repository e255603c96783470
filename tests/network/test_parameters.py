"""Parameters: state dicts as PyTorch has them, live views, options."""

import numpy as np
import pytest
from models.nets import network, small, torch_network

import nncore as nn


def test_state_dict_has_the_keys_and_shapes_of_torch():
    ours, theirs = network().state_dict(), torch_network().state_dict()
    assert list(ours) == list(theirs)
    assert [v.shape for v in ours.values()] == [tuple(v.shape) for v in theirs.values()]


def test_state_dict_is_a_contiguous_copy():
    model = network()
    state = model.state_dict()
    before = model[0].weight.copy()
    for name, value in state.items():
        assert value.flags.c_contiguous, name
        assert value.flags.owndata, name
        value[...] = 7
    np.testing.assert_array_equal(model[0].weight, before)


def test_parameters_are_live_views():
    model = small()
    assert [p.shape for p in model.parameters()] == [(4, 3), (4,), (2, 4), (2,)]
    for (name, view), parameter in zip(model.named_parameters(), model.parameters(), strict=True):
        assert np.shares_memory(view, parameter)
        index, role = name.split(".")
        assert np.shares_memory(view, getattr(model[int(index)], role))
        assert not np.shares_memory(view, model.gradients[name])
        assert np.shares_memory(model.gradients[name], model[int(index)].grads[role])
    model.parameters()[3][...] = 5
    model.parameters()[2][...] = 0
    np.testing.assert_array_equal(model([[1, 2, 3]]), [[5, 5]])


def test_padding_is_not_seen():
    """Leading dimensions that would be a multiple of 4 KB are padded inside."""
    model = nn.Sequential(nn.Linear(3, 1024), nn.Linear(1024, 2048), seed=0)
    assert [v.shape for v in model.state_dict().values()] == [(1024, 3), (1024,), (2048, 1024), (2048,)]
    again = nn.Sequential(nn.Linear(3, 1024), nn.Linear(1024, 2048), seed=1)
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again([[1, 2, 3]]), model([[1, 2, 3]]))
    for name, value in again._plan.buffers().items():
        used = np.concatenate([p.reshape(-1) for p in (model.parameters() if name == "parameters" else model.gradients.values())])
        assert np.count_nonzero(value) == np.count_nonzero(used)


def test_load_state_dict_of_torch(rng):
    torch = pytest.importorskip("torch")
    theirs, ours = torch_network(), network()
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    x = rng.normal(size=(6, 5))
    np.testing.assert_allclose(ours(x), theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-12)
    ours.load_state_dict(dict(theirs.named_parameters()))  # tensors that require gradients
    theirs.load_state_dict({name: torch.tensor(value) for name, value in network(seed=5).state_dict().items()})


def test_load_state_dict_converts_types():
    source, target = network("float64"), network("float32", seed=1)
    target.load_state_dict(source.state_dict())
    np.testing.assert_array_equal(target[0].weight, source[0].weight.astype(np.float32))


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
def test_load_state_dict_of_torch_in_any_precision(kind):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 2)).to(getattr(torch, kind))
    model = nn.Sequential(nn.Linear(3, 2), dtype="float64")
    model.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(model[0].weight, module[0].weight.detach().double().numpy())
    model[0].bias = module[0].bias
    np.testing.assert_array_equal(model[0].bias, module[0].bias.detach().double().numpy())


def test_load_state_dict_is_all_or_nothing():
    model, state = small(), small(seed=1).state_dict()
    before = model.state_dict()

    def refused(error, message, changes, drop=(), **options):
        with pytest.raises(error, match=message):
            model.load_state_dict({k: v for k, v in {**state, **changes}.items() if k not in drop}, **options)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    refused(nn.errors.StateDictError, r"missing keys \['2.bias'\], unexpected keys \[\]", {}, drop=["2.bias"])
    refused(nn.errors.StateDictError, r"missing keys \[\], unexpected keys \['9.weight'\]", {"9.weight": [1.0]})
    shapes = r"2.weight is \(2, 4\) here and \(4, 2\) there; 2.bias is \(2,\) here and \(\) there"
    refused(nn.errors.ShapeError, shapes, {"2.weight": np.ones((4, 2)), "2.bias": np.float32(1)})
    refused(nn.errors.ShapeError, "0.bias", {"0.bias": np.ones(5)}, strict=False)
    refused(nn.errors.ArgumentError, "2.bias: values must be real numbers", {"2.bias": np.array(["a", "b"])})
    with pytest.raises(nn.errors.ArgumentError, match="a mapping"):
        model.load_state_dict([1, 2])
    result = model.load_state_dict({"2.bias": [3, 4], "x": 1}, strict=False)
    assert result.missing_keys == ["0.weight", "0.bias", "2.weight"]
    assert result.unexpected_keys == ["x"]
    np.testing.assert_array_equal(model[2].bias, [3, 4])


def test_weights_as_lists():
    model, other = small(), small(seed=1)
    other.set_weights(model.get_weights())
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(nn.errors.StateDictError, match="3 arrays for the 4 parameters"):
        model.set_weights(model.get_weights()[:3])
    with pytest.raises(nn.errors.ShapeError, match=r"2.bias is \(2,\) here"):
        model.set_weights([*model.get_weights()[:3], np.ones(3)])


def test_parameter_options():
    model = nn.Sequential(nn.Linear(3, 4, l1=0.1, l2=0.2), nn.ReLU(), nn.Linear(4, 2, trainable=False))
    assert [(o.trainable, o.l1, o.l2) for o in model.parameter_options()] == [
        (True, 0.1, 0.2),
        (True, None, None),  # what compile says
        (False, None, None),
        (False, None, None),
    ]
