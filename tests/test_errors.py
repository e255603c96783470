"""Every error is an NncoreError and the built-in that fits; the helpers give the messages that help."""

import pickle
import re
import tomllib
from pathlib import Path

import pytest

from nncore import errors

BUILTINS = {
    "ArgumentError": (ValueError, TypeError),
    "ShapeError": ValueError,
    "SizeError": OverflowError,
    "DTypeError": TypeError,
    "LabelError": ValueError,
    "NonFiniteError": ValueError,
    "EmptyDataError": ValueError,
    "StateDictError": ValueError,
    "UnknownAttributeError": AttributeError,
    "UnknownNameError": ValueError,
    "IndexRangeError": (IndexError, ValueError),
    "GradientError": AssertionError,
    "NotCompiledError": RuntimeError,
    "NotBuiltError": RuntimeError,
    "ConcurrentUseError": RuntimeError,
    "FileFormatError": ValueError,
    "FileKindError": OSError,
    "MissingExtraError": ImportError,
    "CompilerError": RuntimeError,
    "RanksError": RuntimeError,
}


def test_the_table_above_is_complete():
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.NncoreError)}
    assert defined - {"NncoreError"} == set(BUILTINS)


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_each_error_is_also_the_builtin(name, builtin):
    error = getattr(errors, name)("message")
    assert isinstance(error, errors.NncoreError)
    for each in builtin if isinstance(builtin, tuple) else (builtin,):
        assert isinstance(error, each)
    assert str(pickle.loads(pickle.dumps(error))) == "message"


def test_size_error_is_not_a_memory_error():
    assert not issubclass(errors.SizeError, MemoryError)


def test_lookup_finds():
    assert errors.lookup("loss", "mse", {"mse": 3}) == 3


def test_lookup_offers_near_matches():
    table = {"mean_squared_error": 1, "mean_absolute_error": 2, "hinge": 3}
    with pytest.raises(errors.UnknownNameError, match=r"loss 'Mean_Squared_Err'; did you mean 'mean_squared_error'") as caught:
        errors.lookup("loss", "Mean_Squared_Err", table)
    assert "hinge" in str(caught.value)


def test_lookup_without_near_match_lists_the_names():
    with pytest.raises(errors.UnknownNameError, match=r"unknown loss 'zzz'\. Known: hinge, mse"):
        errors.lookup("loss", "zzz", {"mse": 1, "hinge": 2})


def test_lookup_of_something_unhashable():
    with pytest.raises(errors.UnknownNameError, match=r"unknown loss \[\]"):
        errors.lookup("loss", [], {"mse": 1})  # type: ignore[arg-type]


def test_require_returns_the_module():
    assert errors.require("math", "plot", "x").pi > 3


def test_require_takes_no_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "no_such_library").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.MissingExtraError, match="to_onnx needs no_such_library, which is not installed"):
        errors.require("no_such_library", "onnx", "to_onnx")


def test_require_names_the_extra():
    with pytest.raises(errors.MissingExtraError, match=r'History\.plot needs no_such, .* pip install "nncore\[plot\]"') as caught:
        errors.require("no_such.pyplot", "plot", "History.plot")
    assert caught.value.name == "no_such"


def test_an_extra_brings_what_an_error_says_it_brings():
    repository = Path(__file__).resolve().parent.parent
    extras = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for path in (repository / "src").rglob("*.py"):
        for module, extra in re.findall(r'(?<!>>> )require\("(\w+)[\w.]*", "(\w+)"', path.read_text("utf-8")):
            names = {re.split(r"\W", each.replace("scikit-learn", "sklearn"))[0] for each in extras[extra]}
            assert module.replace("google", "onnx") in names, f"{path.name}: {module}"  # onnx brings protobuf
