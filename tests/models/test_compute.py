"""`compute=`: what is accepted, and that everything made from a model carries it."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn


def net(**options):
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3), seed=0, **options)


def test_the_default_is_the_dtype():
    assert net().compute == "float32"
    assert net(dtype="float64").compute == "float64"
    assert net(dtype="float64", compute="float32").compute == "float64"  # the default, written out
    assert net(compute=np.float32).compute == "float32"


@pytest.mark.parametrize("given", ["bfloat16", np.str_("bfloat16"), type("bfloat16", (), {})])
def test_bfloat16(given):
    model = net(compute=given)
    assert model.compute == "bfloat16"
    assert model.dtype == np.float32
    assert model._network.plan.compute == "bfloat16"
    assert 'compute="bfloat16"' in repr(model)
    assert "products in bfloat16" in str(model.summary())
    assert model.summary().parameter_bytes == net().summary().parameter_bytes


def test_a_torch_dtype():
    torch = pytest.importorskip("torch")
    assert net(compute=torch.bfloat16).compute == "bfloat16"


@pytest.mark.parametrize(("faster", "taken"), [(5.0, "bfloat16"), (1.3, "bfloat16"), (1.29, "float32"), (0.0, "float32")])
def test_auto_takes_what_is_worthwhile(monkeypatch, tmp_path, faster, taken):
    monkeypatch.setattr(nn.network.precision, "speedup", lambda: faster)
    model = net(compute="auto")
    assert model.compute == model._network.plan.compute == taken
    model.save(tmp_path / "a.safetensors")  # a file keeps what was taken, so that training goes on to the bit on another CPU
    monkeypatch.setattr(nn.network.precision, "speedup", lambda: 1.0)
    assert nn.load(tmp_path / "a.safetensors").compute == taken


def test_the_measurement():
    faster = nn._core.measure_bf16()
    assert 0 <= faster < 1000
    assert (faster > 0) == (nn._core.isa() == "amx")


def test_auto_is_settled_when_the_model_is_made():
    assert net(compute="auto").compute in ("float32", "bfloat16")
    assert net(compute="auto", dtype="float64").compute == "float64"


@pytest.mark.parametrize("wrong", ["bf16", "float16", "int8", None, 3, np.int8, []])
def test_unknown(wrong):
    with pytest.raises(nn.errors.ArgumentError, match=r"Sequential: compute must be 'float32' or 'bfloat16' or 'auto', not "):
        net(compute=wrong)
    x = nn.Input((3,))
    with pytest.raises(nn.errors.ArgumentError, match=r"Model: compute must be 'float32' or 'bfloat16' or 'auto', not "):
        nn.Model(x, nn.Linear(3, 1)(x), compute=wrong)


def test_not_in_float64(tmp_path):
    with pytest.raises(nn.errors.DTypeError, match=r'Sequential: compute="bfloat16" needs dtype="float32", not "float64"'):
        net(dtype="float64", compute="bfloat16")
    net(dtype="float64").save(tmp_path / "a.safetensors")
    with pytest.raises(nn.errors.DTypeError, match=r'load: compute="bfloat16" needs dtype="float32"'):
        nn.load(tmp_path / "a.safetensors", compute="bfloat16")


def test_it_cannot_be_set():
    model = net()
    with pytest.raises(nn.errors.UnknownAttributeError, match=r"compute cannot be set; it comes from the constructor"):
        model.compute = "bfloat16"
    assert model.compute == "float32"


def test_copies_pickles_and_slices():
    model = net(compute="bfloat16")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.clone(), model[:2]):
        assert other.compute == other._network.plan.compute == "bfloat16"
        assert other.dtype == np.float32


def test_files(tmp_path):
    path = tmp_path / "a.safetensors"
    model = net(compute="bfloat16")
    model.compile("mse", "adam")
    model.save(path)
    assert nn.load(path).compute == "bfloat16"
    assert nn.load(path, compute="float32").compute == "float32"
    assert nn.load(path, compute="auto").compute in ("float32", "bfloat16")
    with pytest.raises(nn.errors.ArgumentError, match=r"load: compute must be .* not 'half'"):
        nn.load(path, compute="half")
    net().save(path)
    assert nn.load(path).compute == "float32"
    assert nn.load(path, compute="bfloat16")._network.plan.compute == "bfloat16"


def test_graphs(tmp_path):
    x = nn.Input((20,), name="x")
    model = nn.Model(x, nn.Linear(16, 3)(nn.Linear(20, 16)(x)), compute="bfloat16")
    model.save(tmp_path / "a.safetensors")
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), nn.load(tmp_path / "a.safetensors")):
        assert other.compute == other._network.plan.compute == "bfloat16"


def test_models_within_models_keep_their_own(tmp_path):
    inner = net(compute="bfloat16")
    outer = nn.Sequential(inner, nn.Linear(3, 2))
    assert (outer.compute, inner.compute) == ("float32", "bfloat16")
    outer.save(tmp_path / "a.safetensors")
    for other in (copy.deepcopy(outer), pickle.loads(pickle.dumps(outer)), nn.load(tmp_path / "a.safetensors")):
        assert (other.compute, other[0].compute) == ("float32", "bfloat16")
    other = nn.load(tmp_path / "a.safetensors", compute="bfloat16")
    assert (other.compute, other[0].compute) == ("bfloat16", "bfloat16")


def test_before_and_after_building():
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 16), compute="bfloat16")
    assert model.compute == "bfloat16"
    model.build((4, 8))
    assert model._network.plan.compute == "bfloat16"


def test_plans_for_other_lengths_and_streams(rng):
    model = nn.Sequential(nn.Linear(16, 16), nn.GRU(16, 16, return_sequences=True), compute="bfloat16")
    for steps in (3, 5, 3):
        model(rng.normal(size=(2, steps, 16)).astype(np.float32))
        assert model._network.plan.compute == "bfloat16"
    assert model.stream()._step_plan.compute == "bfloat16"


def test_configuration_tells_how_it_is_computed(capsys):
    nn.show_config()
    assert "\nbfloat16         by " in capsys.readouterr().out
