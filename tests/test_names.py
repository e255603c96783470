"""Public names: each is found however a program asks for it, though modules are loaded only when they are needed."""

import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import get_args

import public_names
import pytest

import nncore as nn
from nncore._declarations import DeclarationType

FOLDER = Path(nn.__file__).parent
PACKAGES = ["callbacks", "init", "layers", "losses", "metrics", "optim", "schedules"]
SPACES = [*PACKAGES, "data", "errors", "typing"]


def run(program):
    """In an interpreter that has loaded nothing yet."""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert not found.returncode, found.stderr
    return found.stdout.split()


HELPERS = {"monitor", "regularized"}  # modules without public names
HIDDEN = {"statistic"}  # a function of this name is public


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_attributes_of_their_package(package):
    modules = {path.stem for path in (FOLDER / package).glob("*.py") if not path.stem.startswith("_")} - HELPERS - HIDDEN
    run(f"import nncore as nn\nfor m in {sorted(modules)}: assert getattr(nn.{package}, m).__name__ == 'nncore.{package}.' + m")


@pytest.mark.parametrize("space", ["", *SPACES])
def test_dir_is_what_is_public(space):
    """Editors offer what there is, and nothing that a module needs for itself."""
    found = run(f"import nncore as nn; print(*dir(nn{space and '.' + space}))")
    assert found == sorted((getattr(nn, space) if space else nn).__all__)


@pytest.mark.parametrize("package", SPACES)
def test_star_and_docstrings(package):
    space = getattr(nn, package)
    names = run(f"from nncore.{package} import *\nprint(*[name for name in globals() if name[:1] != '_'])")
    assert sorted(names) == sorted(space.__all__)
    made = {name: getattr(space, name) for name in space.__all__}
    assert [name for name, value in made.items() if isinstance(value, (type, FunctionType)) and not value.__doc__] == []


def test_every_name_of_the_library():
    assert [name for name in nn.__all__ if name != "__version__" and not getattr(nn, name).__doc__] == []
    assert run("import nncore as nn; print(nn.layers.activations.ReLU is nn.ReLU)") == ["True"]
    with pytest.raises(AttributeError, match="no attribute 'Conv2d'"):
        nn.Conv2d  # noqa: B018 - what is asked for


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (nn.losses.LossName, nn.losses.LOSSES),
        (nn.optim.OptimizerName, nn.optim.OPTIMIZERS),
        (nn.metrics.MetricName, nn.metrics.METRICS),
        (nn.init.InitName, nn.init.SCHEMES),
        (nn.losses.Reduction, nn.losses.REDUCTIONS),
        (nn.init.rules.Nonlinearity, nn.init.rules.GAINS),
    ],
    ids=["losses", "optimizers", "metrics", "initializers", "reductions", "nonlinearities"],
)
def test_names_that_editors_offer_are_those_that_work(names, table):
    assert sorted(get_args(names)) == sorted(table)


@pytest.mark.parametrize(
    "path", [each.path for each in public_names.listed() if isinstance(public_names.reached(each.path), DeclarationType)]
)
def test_dir_of_classes_is_what_users_reach(path):
    """`help` and editors show what the reference describes: members, attributes and arguments; no hooks of nncore's own."""
    cls, known = public_names.reached(path), {"name", "close", "direction", "threshold", "from_logits", "config"}
    members = {each.path.rpartition(".")[2]: each.members for each in public_names.listed()}
    for base in cls.__mro__[:-1]:
        known |= {*members.get(base.__name__, ()), *inspect.signature(base).parameters}
        for names in re.findall(r"^(\w+(?:, \w+)*) : ", inspect.getdoc(base) or "", re.MULTILINE):
            known |= {*names.split(", ")}
    hooks = {"before_fit", "get_state", "set_model", "set_params", "set_state"} if issubclass(cls, nn.callbacks.Callback) else set()
    assert {name for name in dir(cls) if not name.startswith("_")} <= known | hooks


def test_dir_shows_what_a_class_of_ones_own_has():
    class Mine(nn.PythonLayer):
        mode = "own"

        def check(self):
            return None

    assert {"mode", "check", "forward", "trainable"} <= {*dir(Mine(name="a"))}
    assert {"mode", "check", "forward", "build"} <= {*dir(Mine)}
    mine = Mine()
    mine.activation = nn.ReLU()  # an attribute that other libraries' layers have, and nncore's have not
    assert "activation" in dir(mine)
    assert "activation" not in dir(Mine())
    assert "output_shape" in dir(nn.PythonLayer)
    assert "output_shape" not in dir(nn.Linear(2, 3))
    layer = nn.Linear(2, 3)
    assert {"weight", "in_features", "trainable", "config"} <= {*dir(layer)}
    assert not {"ops", "macs", "kernel", "cuda"} & {*dir(layer), *dir(nn.Linear)}
    shown = pydoc.plain(pydoc.render_doc(nn.Linear))
    assert "Fully connected layer" in shown
    assert not re.search(r"^ \|  (ops|macs|kernel|cuda|repr_defaults)\b", shown, re.MULTILINE)
