"""Files that earlier versions wrote: they load, and training goes on from them to the same bits as it did then.

The bits belong to the instruction set. What each version wrote, and went on to, stands in the folder ``written``.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import nncore as nn
from nncore import _core

WRITTEN = Path(__file__).parent / "written"
EXPECTED = json.loads((WRITTEN / "expected.json").read_text())
_spec = importlib.util.spec_from_file_location("written_nets", WRITTEN / "nets.py")
nets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nets)


@pytest.mark.parametrize("file", sorted(EXPECTED))
def test_training_goes_on_to_the_same_bits(file):
    name = file.removesuffix(".safetensors").rpartition("-")[2]
    model = nn.load(WRITTEN / file)
    assert model.step == 4
    history = nets.train(model, name, 5, resume=True)
    assert nets.digest(model, history) == EXPECTED[file][_core.isa()]


@pytest.mark.parametrize("file", sorted(EXPECTED))
def test_what_is_written_now_goes_on_to_the_same_bits(file, tmp_path):
    name = file.removesuffix(".safetensors").rpartition("-")[2]
    nn.load(WRITTEN / file).save(tmp_path / "again.safetensors")
    model = nn.load(tmp_path / "again.safetensors")
    assert nets.digest(model, nets.train(model, name, 5, resume=True)) == EXPECTED[file][_core.isa()]


def test_every_net_has_its_file():
    assert {file.rpartition("-")[2] for file in EXPECTED} == {f"{name}.safetensors" for name in nets.NETS}
