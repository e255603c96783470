"""The contests of precision.py: which nets and rows are compared, and what each comparison must reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import recurrent_peers
from headline import ROOT
from workloads import INFERENCE, WORKLOADS

RESULTS = ROOT / "docs" / "benchmarks_precision.json"
NNCORE, PYTORCH = "nncore fit", ("PyTorch", "PyTorch bfloat16")
SMALL, MIDDLE, WIDE = "64-128-64-10", "784-512-256-10", "1024-2048-2048-100"
CELLS = ("LSTM", "GRU", "RNN")


class Claim(NamedTuple):
    """``ours`` is at least so many times as fast as the fastest of ``theirs``; with ``as_time``, said as a part of their time."""

    ours: str
    theirs: tuple[str, ...]
    least: float
    amx: bool = False  #: holds on CPUs with AMX only
    as_time: bool = False


class Contest(NamedTuple):
    """Contestants that take turns. The peers may take fewer threads, if that is faster."""

    title: str
    kind: str
    work: str
    names: tuple[str, ...]
    claims: tuple[Claim, ...]
    threads: int = 2
    isa: str = ""  #: the instruction set of nncore, if not the best
    of_limit: float = 0.0  #: the part of the limit that float32 must reach


def contests() -> list[Contest]:
    names = (NNCORE, "nncore bfloat16", *PYTORCH)
    trained = {
        MIDDLE: (
            Claim("nncore bfloat16", ("PyTorch bfloat16",), 4, amx=True),
            Claim("nncore bfloat16", (NNCORE,), 3.5, amx=True),
            Claim(NNCORE, ("PyTorch",), 2),
        ),
        WIDE: (
            Claim("nncore bfloat16", ("PyTorch bfloat16",), 2.5, amx=True),
            Claim("nncore bfloat16", (NNCORE,), 5.5, amx=True),
            Claim(NNCORE, ("PyTorch",), 1),
        ),
        SMALL: (Claim("nncore bfloat16", (NNCORE,), 2, amx=True),),
    }
    found = [
        Contest(f"train {work}", "training", work, names, claims, of_limit=0.85 if work == MIDDLE else 0)
        for work, claims in trained.items()
    ]
    for cell, least in zip(CELLS, (3.0, 2.8, 2.2), strict=True):
        claims = (Claim("nncore bfloat16", (NNCORE,), least, amx=True),)
        if cell == "LSTM":
            claims += (Claim("nncore bfloat16", PYTORCH, 4, amx=True),)
        found.append(Contest(f"train {recurrent(cell)}", "recurrent", recurrent(cell), names, claims))
    return [*found, *one_row(), *without_amx()]


def recurrent(cell: str) -> str:
    return f"{cell} i32 h128 T100 b32"


def one_row() -> Iterator[Contest]:
    ours = ("nncore model(x)", "nncore bfloat16", "nncore int8")
    names = (*ours, "PyTorch", "PyTorch bfloat16", "PyTorch int8", "onnxruntime", "onnxruntime int8")
    full, ort = (ours[0],), ("onnxruntime int8",)
    middle = (
        Claim("nncore bfloat16", full, 1 / 0.4, amx=True, as_time=True),
        Claim("nncore int8", full, 1 / 0.2, amx=True, as_time=True),
        Claim("nncore int8", ort, 3, amx=True),
    )
    yield Contest(f"one row {MIDDLE}", "inference", MIDDLE, names, middle, threads=1)
    for threads in (1, 2):
        wide = (Claim("nncore int8", full, 1 / 0.3, as_time=True), Claim("nncore int8", ort, 1))
        yield Contest(f"one row {WIDE}", "inference", WIDE, names, wide, threads)
    yield Contest(
        f"one row {WIDE}, AVX2",
        "inference",
        WIDE,
        ours,
        (Claim("nncore bfloat16", full, 1 / 0.6, as_time=True),),
        threads=1,
        isa="avx2",
    )


def without_amx() -> Iterator[Contest]:
    """Training on the instruction sets below, which CPUs with AMX have as well."""
    claims = (Claim("nncore bfloat16", (NNCORE,), 0.85),)
    for isa, said in (("avx512", "AVX-512"), ("avx2", "AVX2")):
        for work in (MIDDLE, WIDE, SMALL):
            yield Contest(f"train {work}, {said}", "training", work, (NNCORE, "nncore bfloat16"), claims, isa=isa)
        for cell in CELLS:
            net = recurrent(cell)
            yield Contest(f"train {net}, {said}", "recurrent", net, (NNCORE, "nncore bfloat16"), claims, isa=isa)


def with_before() -> Iterator[Contest]:
    """All rows of today's tables in float32, and their training in float64, beside the nncore before."""
    for kind, works in (("training", WORKLOADS), ("recurrent", recurrent_peers.NETS["recurrent"])):
        for work in works:
            names = (NNCORE, "nncore float64")
            yield Contest(f"train {work}", kind, work, names, tuple(Claim(n, (f"{n}, before",), 0.97) for n in names))
    for kind, works, name in (
        ("inference", INFERENCE, "nncore model(x)"),
        ("forward", recurrent_peers.NETS["forward"], "nncore"),
        ("stream", recurrent_peers.NETS["stream"], "nncore"),
    ):
        for work in works:
            yield Contest(f"{kind} {work}", kind, work, (name,), (Claim(name, (f"{name}, before",), 0.97),), threads=1)


def identity(each: Contest) -> str:
    return f"{each.title}, {each.threads} thread{'s'[: each.threads - 1]}"
