"""to_c of random networks of every layer, many in one compilation, against nncore."""

import os

import numpy as np
import pytest
from export.c_files import compiled, run
from export.nets import arrays_for, random_model
from export.onnx_nets import amplification

from nncore.errors import ArgumentError

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


def apart(got, want):
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return np.where((got == want) | (np.isnan(got) & np.isnan(want)), 0, np.abs(got - want)).max(initial=0)


def compare(model, found, built, x, twin):
    """The C file may differ from nncore by 4 units of the last place of the largest number of the output. Where a network amplifies
    rounding, the difference may be 4 times as large as what rounding does to nncore's own result."""
    want, got = predicted(model, x), run(found, built, x)
    eps = np.finfo(model.dtype).eps
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.shape == w.shape
        limit = 4 * eps * float(np.abs(w[np.isfinite(w)]).max(initial=0))
        if apart(g, w) > limit:
            own = amplification(twin(), x, want, {}, [None] * len(want))[i] * max(1, limit / (4 * eps))
            own *= eps / np.finfo("float32").eps
            assert apart(g, w) <= 4 * own, (found.name, apart(g, w), limit, own)


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
        for seed, model, rng, found in some:
            indices = {i for i in range(len(found.inputs)) if model._network.plan.holds_indices(i)}
            x = arrays_for(model, rng, ROWS, model.input_shapes, indices)
            compare(model, found, built, x, lambda seed=seed: random_model(seed, "float64")[0])
