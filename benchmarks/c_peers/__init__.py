"""The contestants of benchmarks/c_export.py: each writes a C file with ``void entry(const float *x, float *y)`` for a net.

A recurrent net goes on by one time step with each call; the state is kept in the file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

import nncore as nn

FOLDER = Path(__file__).parent
ENTRY = "void entry(const float *x, float *y);\nvoid entry(const float *x, float *y)\n"


def mlp() -> nn.Sequential:
    """64-32-16-4 with ReLU."""
    layers = [nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4)]
    return nn.Sequential(*layers, seed=0).build((64,))


def gru() -> nn.Sequential:
    """A step of a GRU with 8 inputs and 32 units."""
    return nn.Sequential(nn.GRU(8, 32), seed=0).build((1, 8))


def lstm() -> nn.Sequential:
    """A step of an LSTM with 8 inputs and 32 units."""
    return nn.Sequential(nn.LSTM(8, 32), seed=0).build((1, 8))


#: name -> (how the net is made, inputs, outputs)
NETS: dict[str, tuple[Callable[[], nn.Sequential], int, int]] = {
    "MLP 64-32-16-4": (mlp, 64, 4),
    "GRU step, 8 inputs, 32 units": (gru, 8, 32),
    "LSTM step, 8 inputs, 32 units": (lstm, 8, 32),
}


class Unable(Exception):
    """A contestant has no such net, or is not installed. The text stands in the table."""


def with_nncore(net: str, exp: str) -> str:
    """The file of to_c."""
    source = NETS[net][0]().to_c(exp=exp).source
    if net.startswith("MLP"):
        return f"{source}\n{ENTRY}{{\n    net_predict(x, y);\n}}\n"
    return f"{source}\nstatic net_state state;\n{ENTRY}{{\n    net_step(&state, x, y);\n}}\n"


def with_plain_loops(net: str) -> str:
    """The formulas as loops, as one writes them by hand: weights by rows as in the state dict, one sum after another."""
    tensors = NETS[net][0]().state_dict()
    name = net.split()[0].lower()
    arrays = "".join(
        _array(f"{'w' if 'weight' in key else 'b'}{i // 2 if name == 'mlp' else i}", value)
        for i, (key, value) in enumerate(tensors.items())
    )
    files = [f"plain_{name}.c"] if name == "mlp" else ["plain_parts.c", f"plain_{name}.c"]
    return "".join([arrays, *((FOLDER / each).read_text() for each in files)])


def _array(name: str, values: np.ndarray) -> str:
    numbers = ", ".join(f"{v:.9g}f" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else f"{v:.9g}.0f" for v in values.ravel())
    return f"static const float {name}[{values.size}] = {{{numbers}}};\n"


def with_emlearn(net: str) -> str:
    """The weights as emlearn writes them, with its header."""
    if not net.startswith("MLP"):
        raise Unable("no recurrent layers")
    try:
        from emlearn.net import c_generate_net_loadable
    except ImportError:
        raise Unable("not installed") from None
    tensors = NETS[net][0]().state_dict()
    weights, biases = ([tensors[f"{i}.{kind}"] for i in (0, 2, 4)] for kind in ("weight", "bias"))
    source = c_generate_net_loadable(["relu", "relu", "identity"], [w.T for w in weights], biases, prefix="net")
    return f"{source}\n{ENTRY}{{\n    eml_net_regress(&net, x, 64, y, 4);\n}}\n"


def emlearn_flags() -> list[str]:
    """Where the header of emlearn is."""
    try:
        import emlearn
    except ImportError:
        return []
    return ["-isystem", str(Path(emlearn.__file__).parent)]


def with_onnx2c(net: str, program: str | None, folder: Path) -> str:
    """What an onnx2c that the user has built makes of the ONNX file."""
    if program is None:
        raise Unable("not given")
    if net.startswith("GRU"):
        raise Unable("no GRU")
    path, name = folder / "onnx2c.onnx", net.split()[0].lower()
    if name == "mlp":
        NETS[net][0]().to_onnx(path, dynamic=False)
    else:
        _lstm_node(path)
    made = subprocess.run([program, "-l", "0", "-f", "onnx2c_entry", str(path)], capture_output=True, text=True, check=True)
    if name == "mlp":
        call = "{\n    onnx2c_entry((const float(*)[64])x, (float(*)[4])y);\n}\n"
    else:
        call = (FOLDER / "onnx2c_lstm.c").read_text()
    return made.stdout + ("" if name == "mlp" else "\nstatic float state[4][1][1][32];\nstatic int turn;\n") + ENTRY + call


def _lstm_node(path: Path) -> None:
    """One LSTM node with its states as inputs and outputs, without the transposes that a batch needs."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensors = NETS["LSTM step, 8 inputs, 32 units"][0]().state_dict()

    def gates(rows: np.ndarray) -> np.ndarray:
        i, f, g, o = np.split(rows, 4)
        return np.concatenate([i, o, f, g])

    w, r = (gates(tensors[f"0.weight_{kind}_l0"])[None] for kind in ("ih", "hh"))
    b = np.concatenate([gates(tensors[f"0.bias_{kind}_l0"]) for kind in ("ih", "hh")])[None]
    node = helper.make_node("LSTM", ["x", "w", "r", "b", "", "h0", "c0"], ["", "h", "c"], hidden_size=32)
    shapes = {"x": [1, 1, 8], "h0": [1, 1, 32], "c0": [1, 1, 32], "h": [1, 1, 32], "c": [1, 1, 32]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph(
        [node],
        "lstm",
        [values[name] for name in ("x", "h0", "c0")],
        [values["h"], values["c"]],
        [numpy_helper.from_array(a, name) for name, a in (("w", w), ("r", r), ("b", b))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
