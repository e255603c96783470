"""Absurd sizes, in every argument of every layer and every dimension of an input: a typed error at once, and nothing is made.

A process of its own, with 2 GB of address space, takes all sizes of one case: it must not crash, be ended, or be slow.
"""

import json
import os
import subprocess
import sys

import pytest

SIZES = (0, -1, 2**31 - 1, 2**31, 2**32, 2**40, 2**47, 2**55, 2**58, 2**62, 2**63 - 1, 2**63, 2**64)

#: Per case a layer and the shape of its input, as functions of a size.
CASES = {
    "Linear in": "nn.Linear(n, 2), (n,)",
    "Linear in, one out": "nn.Linear(n, 1, bias=False), (n,)",
    "Linear out": "nn.Linear(2, n), (2,)",
    "Linear": "nn.Linear(n, n), (n,)",
    "Linear on steps": "nn.Linear(4, 4), (n, 4)",
    "Maxout in": "nn.Maxout(n, 2), (n,)",
    "Maxout out": "nn.Maxout(2, n), (2,)",
    "Maxout pieces": "nn.Maxout(2, 2, n), (2,)",
    "BatchNorm1d": "nn.BatchNorm1d(n), (n,)",
    "BatchNorm1d without parameters": "nn.BatchNorm1d(n, affine=False, track_running_stats=False), (n,)",
    "BatchNorm1d on steps": "nn.BatchNorm1d(4), (4, n)",
    "LayerNorm": "nn.LayerNorm(n), (n,)",
    "LayerNorm of two": "nn.LayerNorm((n, n)), (n, n)",
    "LayerNorm of steps": "nn.LayerNorm((4, n)), (4, n)",
    "LayerNorm without parameters": "nn.LayerNorm(n, elementwise_affine=False), (n,)",
    "PReLU": "nn.PReLU(n), (n,)",
    "PReLU of one": "nn.PReLU(), (n,)",
    "Embedding rows": "nn.Embedding(n, 2), (3,)",
    "Embedding columns": "nn.Embedding(2, n), (3,)",
    "Embedding": "nn.Embedding(n, n), (3,)",
    "Embedding padding_idx": "nn.Embedding(2, 2, n), (3,)",
    "Embedding on steps": "nn.Embedding(2, 2), (n,)",
    "Dropout": "nn.Dropout(), (n,)",
    "GaussianNoise": "nn.GaussianNoise(1.0), (n,)",
    "ReLU": "nn.ReLU(), (n,)",
    "ReLU on two": "nn.ReLU(), (n, n)",
    "ReLU on eight": "nn.ReLU(), (2,) * 7 + (n,)",
    "Softmax": "nn.Softmax(), (n,)",
    "Softmax dim": "nn.Softmax(dim=n), (3,)",
    "LogSoftmax dim": "nn.LogSoftmax(dim=n), (3,)",
    "Flatten": "nn.Flatten(), (n, n)",
    "Flatten one": "nn.Flatten(), (2, n)",
    "Flatten start": "nn.Flatten(n), (2, 2)",
    "Flatten end": "nn.Flatten(1, n), (2, 2)",
    "Reshape": "nn.Reshape(n), (n,)",
    "Reshape to two": "nn.Reshape(n, n), (4,)",
    "Reshape open": "nn.Reshape(-1, n), (n, 2)",
    "Rescaling": "nn.Rescaling(2.0), (n,)",
    "Lambda": "nn.Lambda(lambda x: x), (n,)",
    "Input": "nn.Model(x := nn.Input((n,)), nn.Tanh()(x)), (n,)",
    "Concatenate": "nn.Model(x := nn.Input((n,)), nn.concatenate([x, x, x])), (n,)",
    "Concatenate axis": "nn.Model(x := nn.Input((2,)), nn.Concatenate(axis=n)([x, x])), (2,)",
    "Add": "nn.Model(x := nn.Input((n, 1)), nn.add([x, nn.Reshape(1, n)(x)])), (n, 1)",
    "Many": "nn.Sequential(*[nn.Tanh() for _ in range(20)]), (n,)",
}
for _kind in ("RNN", "GRU", "LSTM"):
    CASES |= {
        f"{_kind} input": f"nn.{_kind}(n, 2), (3, n)",
        f"{_kind} hidden": f"nn.{_kind}(2, n), (3, 2)",
        f"{_kind}": f"nn.{_kind}(n, n, bidirectional=True), (3, n)",
        f"{_kind} steps": f"nn.{_kind}(2, 2, bidirectional=True), (n, 2)",
        f"{_kind} num_layers": f"nn.{_kind}(2, 2, n), (3, 2)",
        f"{_kind} truncate": f"nn.{_kind}(2, 2, truncate=n), (3, 2)",
    }

CHILD = """
import json, resource, sys, time
import numpy as np
import nncore as nn
nn.Sequential(nn.GRU(2, 2), nn.Linear(2, 2)).build((3, 2))  # what is imported late
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
for n in json.loads(sys.argv[2]):
    start, found = time.perf_counter(), None
    try:
        layer, shape = eval(sys.argv[1], {"nn": nn, "n": n})
        model = layer if isinstance(layer, nn.Model) else nn.Sequential(layer, seed=0)
        model.build(shape)
    except nn.errors.NncoreError as error:
        found = [type(error).__name__, str(error)]
    except Exception as error:
        found = ["untyped " + type(error).__name__, str(error)]
    print(json.dumps([n, time.perf_counter() - start, found]), flush=True)
"""


@pytest.mark.parametrize("case", CASES)
def test_absurd_sizes_are_typed_errors_at_once(case):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, CASES[case], json.dumps(SIZES)], capture_output=True, text=True, timeout=120, check=False
    )
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"ended with {done.returncode} after {seen}: {done.stderr[-500:]}"
    assert len(seen) == len(SIZES)
    for n, seconds, error in seen:
        assert error is None or (not error[0].startswith("untyped") and error[1]), (n, error)
        assert seconds < 2, f"{seconds:.3f} s for {n}: {error}"  # a few ms; other processes may delay this one
    print(f"{case}: {1e3 * max(seconds for _, seconds, _ in seen):.1f} ms at most")


def test_what_fits_the_address_space_but_not_the_machine_says_so():
    code = """
import resource, sys
from truth import nets
import nncore as nn
from nncore import _core
from nncore.records import OptimizerSpec
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
try:
    nn.Sequential(nn.Linear(1 << 20, 1 << 10)).build((1 << 20,))
except nn.errors.SizeError as error:
    print(error)
net = _core.Plan()
net.assemble([(1 << 18,)], [nets.linear("a", 0, 1 << 18, 1 << 10)], [1], "float32")
try:
    nets.compile_net(net, optimizer=OptimizerSpec("adam", attributes=(0.9, 0.999, 1e-8, 0.0, 0.0)))
except nn.errors.SizeError as error:
    print(error)
print(sorted(net.buffers()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    first, second, kept = done.stdout.splitlines()
    assert "8.72 GB" in first
    assert "3.22 GB of memory" in first
    assert "optimizer keeps" in second
    assert kept == "['gradients', 'parameters', 'states']"
