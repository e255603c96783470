"""The scripts beside this file run, and mypy and pyright take them as they are; of mistakes.py they refuse the marked lines."""

import importlib.util
import os
import runpy
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("checking", Path(__file__).with_name("checking.py"))
checking = importlib.util.module_from_spec(_spec)  # the folder is called like a module of Python: it cannot be imported by name
_spec.loader.exec_module(checking)


@pytest.mark.parametrize("script", checking.SCRIPTS, ids=lambda path: path.stem)
def test_scripts_run(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")


@pytest.fixture(params=checking.CHECKERS)
def checker(request):
    """The name of each type checker that can be run here."""
    if "NNCORE_ISA" in os.environ:
        pytest.skip("type checkers see no difference between instruction sets")
    if why := checking.missing(request.param):
        pytest.skip(why)
    return request.param


def test_checkers_refuse_what_is_marked_and_nothing_else(checker):
    assert checking.differences(checker, [*checking.SCRIPTS, checking.MISTAKES]) == []


def test_what_the_docs_show_is_well_typed(checker, tmp_path):
    assert checking.in_the_docs(checker, tmp_path) == []


def test_a_planted_mistake_is_seen(checker, tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text("import nncore as nn\nnn.Linear('a', 3)\nnn.Linear(2, 3)  # error\n")
    wrong = checking.differences(checker, [planted])
    assert [each.partition(" ")[0] for each in wrong] == ["planted.py:2:", "planted.py:3:"]
    assert "misses the mistake" in wrong[1]
