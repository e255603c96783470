"""State dicts under the names of another module, there and back."""

import numpy as np
import pytest
from export.torch_modules import assert_same, module_of

import nncore as nn
from nncore.errors import ArgumentError, ShapeError, StateDictError


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def pair(torch):
    """Return a module with named sub-modules, and a Sequential of nncore that computes the same."""
    encoder = torch.nn.Sequential()
    encoder.add_module("fc1", torch.nn.Linear(3, 4))
    encoder.add_module("rnn", torch.nn.Linear(4, 4))
    module = module_of(torch, lambda self, x: self.head(self.encoder(x)), encoder=encoder, head=torch.nn.Linear(4, 2))
    return module, nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))


NAMES = {"0": "encoder.fc1", "1": "encoder.rnn", "2": "head"}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_key_maps_in_both_directions(torch, pair, prefix):
    module, model = pair
    given = {prefix + key: value for key, value in module.state_dict().items()}
    model.load_state_dict(given, names=NAMES)
    x = torch.randn(5, 3)
    assert_same(module, model, x)
    with torch.no_grad():
        module.head.weight.zero_()
    module.load_state_dict(model.state_dict(torch=True, names=NAMES))
    assert_same(module, model, x)


def test_a_layer_may_be_the_module_itself(torch):
    module, model = torch.nn.GRU(3, 4), nn.Sequential(nn.GRU(3, 4))
    model.load_state_dict(module.state_dict(), names={"0": ""})
    module.load_state_dict(model.state_dict(torch=True, names={"0": ""}))
    np.testing.assert_array_equal(model[0].weight_hh_l0, module.weight_hh_l0.detach())


def test_names_that_do_not_fit(torch, pair):
    module, model = pair
    before = model.state_dict()
    with pytest.raises(
        StateDictError, match=r"missing keys \['2.weight', '2.bias'\], unexpected keys \['head.weight', 'head.bias'\]"
    ):
        model.load_state_dict(module.state_dict(), names={"0": "encoder.fc1", "1": "encoder.rnn"})
    with pytest.raises(StateDictError, match=r"names has '9', but the layers with weights are \['0', '1', '2'\]"):
        model.state_dict(names={"9": "head"})
    with pytest.raises(StateDictError, match="names gives 'head.weight' to two parameters"):
        model.state_dict(names={"0": "head", "1": "head"})
    with pytest.raises(StateDictError, match="nothing there for"):
        model.state_dict(names=module)
    with pytest.raises(ArgumentError, match="names is a mapping from keys of layers"):
        model.state_dict(names=["head"])
    with pytest.raises(StateDictError, match="both '0.weight' here"):
        model.load_state_dict({**model.state_dict(), "module.0.weight": model[0].weight})
    with pytest.raises(ShapeError, match=r"0.weight is \(4, 3\) here and \(4, 4\) there"):
        model.load_state_dict(module.state_dict(), names={"0": "encoder.rnn", "1": "encoder.fc1", "2": "head"})
    assert all((model.state_dict()[key] == value).all() for key, value in before.items())
    loaded = model.load_state_dict(module.state_dict(), strict=False, names={"0": "encoder.fc1"})
    assert loaded.missing_keys == ["1.weight", "1.bias", "2.weight", "2.bias"]


def test_paths_stand_for_names_with_underscores_after_saving_too(torch, pair, tmp_path):
    module, _ = pair
    model = nn.from_torch(module)
    assert "encoder_fc1.weight" in model.state_dict()
    model.save(tmp_path / "m.safetensors")
    again = nn.load(tmp_path / "m.safetensors")
    with torch.no_grad():
        module.head.weight.mul_(2)
    again.load_state_dict(module.state_dict())
    assert_same(module, again, torch.randn(4, 3))
    module.load_state_dict(again.state_dict(torch=True, names=module.state_dict()))
