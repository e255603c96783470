"""The includes of the core point down only, from one floor to the floors below it, and never in a circle."""

import re
import shutil
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"

pytestmark = pytest.mark.skipif(not CSRC.is_dir(), reason="the sources are not here")

#: Folders from the ground up. Between the families of ops there is no order; they only make no circle.
FLOORS = ["base", "ops", "ops/*", "plan", "plan/layers", "plan/passes", "plan/run"]


def floor_of(file):
    """How high a file stands, and its folder: the file `a/b/c/d.h` is in folder `a/b`."""
    folder = "/".join(file.split("/")[:-1][:2]) or "plan"  # nncore.h: what plan/ implements
    return FLOORS.index("ops/*" if folder.startswith("ops/") else folder), folder


def includes(root):
    """(file, the file that it includes) of all files, with paths from the root."""
    found = set()
    for path in sorted(root.rglob("*")):
        if path.suffix in {".c", ".h", ".inc", ".def"}:
            name = path.relative_to(root).as_posix()
            found |= {(name, target) for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE)}
    return found


def circle(edges):
    """The names on some circle, or nothing."""
    edges = set(edges)
    while True:
        targets = {b for _, b in edges}
        left = {(a, b) for a, b in edges if a in targets and b in {a for a, _ in edges}}
        if left == edges:
            return sorted(targets)
        edges = left


def faults(root):
    edges = includes(root)
    found = [f"{a} includes {b}, which does not exist" for a, b in sorted(edges) if not (root / b).is_file()]
    edges = {(a, b) for a, b in edges if (root / b).is_file()}
    found += [f"{a} includes {b}, which stands higher" for a, b in sorted(edges) if floor_of(b)[0] > floor_of(a)[0]]
    folders = {(floor_of(a)[1], floor_of(b)[1]) for a, b in edges if floor_of(a)[0] == floor_of(b)[0]}
    for graph in (edges, {(a, b) for a, b in folders if a != b}):
        if names := circle(graph):
            found.append(f"a circle: {', '.join(names)}")
    return found


def test_includes_point_down():
    assert len(includes(CSRC)) > 100
    assert faults(CSRC) == []


def test_every_floor_has_files():
    heights = {floor_of(path.relative_to(CSRC).as_posix())[0] for path in CSRC.rglob("*.[ch]")}
    assert heights == set(range(len(FLOORS)))


@pytest.mark.parametrize(
    ("file", "planted", "message"),
    [
        ("base/arena.h", "ops/op.h", "which stands higher"),
        ("ops/simd.h", "ops/random/random.h", "which stands higher"),
        ("ops/gemm/gemm.c", "plan/plan.h", "which stands higher"),
        ("plan/plan.h", "plan/layers/broadcast.h", "which stands higher"),
        ("plan/layers/linear_typed.c", "plan/run/output_losses.h", "which stands higher"),
        ("base/types.h", "base/cpu.h", "a circle: base/cpu.h, base/types.h"),
        ("ops/transpose/tile.h", "ops/gemm/pack.h", "a circle: ops/gemm, ops/transpose"),
        ("ops/gemm/gemm.c", "ops/gemm_tile.inc", "which does not exist"),
    ],
)
def test_a_planted_include_is_found(file, planted, message, tmp_path):
    shutil.copytree(CSRC, tmp_path / "csrc")
    path = tmp_path / "csrc" / file
    path.write_text(f'#include "{planted}"\n{path.read_text()}')
    assert any(message in fault for fault in faults(tmp_path / "csrc"))
