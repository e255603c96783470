"""A whole `fit` gives the same bits on every instruction set that rounds a multiply-add once; with bfloat16 products on all.

Compared are weights, running statistics, the losses of all steps, metrics, and predictions of all rows and of one.
"""

import hashlib
import json

import numpy as np
import pytest
from instruction_sets import printed

import nncore as nn
from nncore import _core

#: Without fused multiply-adds, as on x86-64 before AVX2, products are rounded twice.
FUSED = [isa for isa in _core.isas() if isa != "baseline" or "avx2" not in _core.isas()]


def rows(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def classes(seed, n, count):
    return np.random.default_rng(seed).integers(0, count, size=n)


def number_format(name):
    return {"dtype": "float32", "compute": name} if name == "bfloat16" else {"dtype": name}


def trained(model, x, y, *, loss, optimizer, metrics=(), **options):
    """Everything that a fit of two epochs with a short last batch leaves, as bytes."""
    model.compile(loss=loss, optimizer=optimizer, metrics=metrics, l2=options.pop("l2", 0.0))
    history = model.fit(x, y, epochs=2, batch_size=29, validation_split=0.2, step_losses="all", verbose=0, **options)
    found = [np.asarray(v) for _, v in sorted(model.state_dict().items())]
    found += [np.asarray(history.step_losses), *(np.asarray(v) for _, v in sorted(history.history.items()))]
    found += [np.asarray(model.predict(x)), np.asarray(model.predict(x[:1]))]
    return b"".join(np.ascontiguousarray(a).tobytes() for a in found)


def mlp(dtype, *, loss, optimizer, outputs=3, **options):
    model = nn.Sequential(
        nn.Linear(23, 37), nn.BatchNorm1d(37), nn.ReLU(), nn.Dropout(0.3), nn.Linear(37, 70), nn.LayerNorm(70), nn.GELU(),
        nn.GaussianNoise(0.1), nn.Linear(70, 21), nn.PReLU(), nn.Linear(21, outputs), seed=3, **number_format(dtype),
    )  # fmt: skip
    x = rows(1, 200, 23)
    y = options.pop("y", classes(2, 200, outputs))
    return trained(model, x, y, loss=loss, optimizer=optimizer, sample_weight=np.abs(rows(4, 200)), **options)


def recurrent(dtype, layer, **options):
    model = nn.Sequential(
        nn.Embedding(11, 13),
        layer(13, 21, num_layers=2, bidirectional=True, **options),
        nn.Linear(42, 5),
        seed=5,
        **number_format(dtype),
    )
    x, y, lengths = classes(6, 90 * 9, 11).reshape(90, 9), classes(8, 90, 5), 1 + classes(7, 90, 9)
    return trained(model, x, y, loss=nn.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="adam", lengths=lengths)


SOFTMAX = nn.losses.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
FOCAL = nn.losses.SparseCategoricalFocalCrossentropy(from_logits=True)
RMSPROP = nn.optim.RMSprop(momentum=0.5, centered=True)
FITS = {
    "adam": lambda d: mlp(d, loss=SOFTMAX, optimizer="adam", metrics=["accuracy"], l2=1e-3),
    "clipped": lambda d: mlp(d, loss=SOFTMAX, optimizer=nn.optim.SGD(lr=0.05, momentum=0.9, clip_norm=0.5), outputs=17),
    "focal": lambda d: mlp(d, loss=FOCAL, optimizer=nn.optim.AdamW(), outputs=33),
    "huber": lambda d: mlp(d, loss=nn.losses.Huber(0.7), optimizer=RMSPROP, outputs=12, y=rows(9, 200, 12), metrics=["r2"]),
    "cosine": lambda d: mlp(d, loss=nn.losses.CosineSimilarity(), optimizer="nadam", outputs=41, y=rows(10, 200, 41)),
    "gaussian": lambda d: mlp(d, loss=nn.losses.GaussianNLL(), optimizer="adamax", outputs=38, y=rows(11, 200, 19)),
    "rnn": lambda d: recurrent(d, nn.RNN),
    "gru": lambda d: recurrent(d, nn.GRU),
    "lstm": lambda d: recurrent(d, nn.LSTM, recurrent_dropout=0.2),
    "gru before": lambda d: recurrent(d, nn.GRU, reset_after=False, recurrent_dropout=0.2),
}


def run_here():
    """What the subprocesses print."""
    cases = [(name, dtype) for name in FITS for dtype in (*(["float32", "float64"] if _core.isa() in FUSED else []), "bfloat16")]
    print(json.dumps({f"{name} {dtype}": hashlib.sha256(FITS[name](dtype)).hexdigest() for name, dtype in cases}))


@pytest.fixture(scope="module")
def digests():
    """{instruction set: what run_here prints in a process that is told to use it}."""
    code = "from truth import test_instruction_sets as t; t.run_here()"
    return {isa: json.loads(printed(code, isa)) for isa in _core.isas()}


@pytest.mark.skipif(len(FUSED) == 1, reason="this CPU has one instruction set with fused multiply-adds")
@pytest.mark.parametrize("name", FITS)
def test_whole_fits(name, digests, dtype):
    assert len({digests[isa][f"{name} {dtype.name}"] for isa in FUSED}) == 1


@pytest.mark.skipif(len(_core.isas()) == 1, reason="this CPU has one instruction set")
@pytest.mark.parametrize("name", FITS)
def test_whole_fits_with_products_in_bfloat16(name, digests):
    assert len({digests[isa][f"{name} bfloat16"] for isa in _core.isas()}) == 1
    assert digests[_core.isas()[-1]][f"{name} bfloat16"] != digests[_core.isas()[-1]][f"{name} float32"]
