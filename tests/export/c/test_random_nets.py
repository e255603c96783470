"""to_c of random networks of every layer, many in one compilation, against nncore."""

import os

import numpy as np
import pytest
from export.c_files import compiled, run
from export.nets import arrays_for, random_model
from export.rounding import units

from nncore.errors import ArgumentError
from nncore.export.c.rounding import rounded_tensors
from nncore.export.walk import walk

NETS = int(os.environ.get("NNCORE_FUZZ", "200"))
ROWS = 1000
#: What people who write for small devices ask of GCC besides.
STRICT = [f"-W{what}" for what in ("shadow", "sign-conversion", "double-promotion", "cast-qual", "missing-prototypes", "undef")]


def as_list(outputs):
    return list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, list) else [outputs]


def predicted(model, x):
    """The outputs for each sample alone, because a BatchNorm1d without running statistics looks at all samples."""
    if all(op.kind != "batch_norm" or op.field("track_running_stats") for op in model._network.plan.ops):
        return as_list(model.predict(x if len(x) > 1 else x[0]))
    rows = [as_list(model.predict([a[i : i + 1] for a in x] if len(x) > 1 else x[0][i : i + 1])) for i in range(len(x[0]))]
    return [np.concatenate(each) for each in zip(*rows, strict=True)]


def compare(model, found, built, x):
    """The C file may differ from nncore by 4 scaled units of the last place; `units` says how they are scaled."""
    for i, (got, want) in enumerate(zip(run(found, built, x), predicted(model, x), strict=True)):
        assert got.shape == want.shape
        apart = units(got, want, lambda model, x, i=i: predicted(model, x)[i], model, x)
        assert apart <= 4, (found.name, i, apart)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore")
def test_random_nets(dtype, tmp_path):
    """NNCORE_FUZZ=2000 for many more."""
    nets = []
    for seed in range(NETS if dtype == "float32" else NETS // 4):
        model, rng = random_model(seed, dtype)
        try:
            nets.append((seed, model, rng, model.to_c(name=f"net{seed}")))
        except ArgumentError as error:
            if "normalizes by the statistics of a batch" not in str(error):
                raise
    for first in range(0, len(nets), 100):
        some = nets[first : first + 100]
        built = compiled("\n".join(found.source for *_, found in some), tmp_path, *STRICT, name=f"nets{first}", optimize="-O1")
        for _, model, rng, found in some:
            indices = {i for i in range(len(found.inputs)) if model._network.plan.holds_indices(i)}
            x = arrays_for(model, rng, ROWS, model.input_shapes, indices)
            compare(model, found, built, x)


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.filterwarnings("ignore")
def test_random_nets_with_rounded_weights(kind, tmp_path):
    """What the file computes is what nncore computes with the numbers that it has."""
    nets = []
    for seed in range(NETS // 5):
        model, rng = random_model(seed)
        try:
            found = model.to_c(name=f"net{seed}", weights=kind, exp="fast")
        except ArgumentError as error:
            if "normalizes by the statistics of a batch" not in str(error):
                raise
            continue
        model.load_state_dict(rounded_tensors(walk(model._network, "a test"), kind))
        nets.append((model, rng, found))
    built = compiled("\n".join(found.source for *_, found in nets), tmp_path, *STRICT, optimize="-O1")
    for model, rng, found in nets:
        indices = {i for i in range(len(found.inputs)) if model._network.plan.holds_indices(i)}
        compare(model, found, built, arrays_for(model, rng, 100, model.input_shapes, indices))
