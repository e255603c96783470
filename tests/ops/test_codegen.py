"""The machine code of the register tiles of gemm, of products of bfloat16 and of the recurrent cells: accumulators stay
in registers, or products take three times as long.

They are compiled here as the build does it, with the flags in CMakeLists.txt, since the installed library has lost its symbols.
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CC = shutil.which(os.environ.get("CC", "cc"))
OBJDUMP = shutil.which("objdump")

pytestmark = [
    pytest.mark.skipif(not (REPOSITORY / "csrc/ops/gemm/gemm.c").exists(), reason="the sources are not here"),
    pytest.mark.skipif(not CC, reason="no C compiler"),
    pytest.mark.skipif(not OBJDUMP, reason="no objdump to disassemble with"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly"),
]

#: The tiles that gemm.c builds, as (rows, vectors) of the highest of each width.
TILES = {
    "baseline": [(8, 1), (4, 2), (3, 3), (2, 4), (1, 8)],
    "avx2": [(8, 1), (6, 2), (4, 3), (3, 4), (1, 8)],
    "avx512": [(16, 1), (8, 2), (8, 3), (6, 4), (3, 8)],
}
#: And those of ops/recurrent/product.c.
RECURRENT_TILES = {
    "baseline": [(8, 1), (4, 2), (3, 3), (2, 4)],
    "avx2": [(8, 1), (6, 2), (4, 3), (3, 4)],
    "avx512": [(8, 1), (8, 2), (8, 3), (6, 4)],
}
#: The highest of those of ops/bf16/product.c, two vectors wide; the loops of one and two rows are unrolled.
BF16_ROWS = {"baseline": 4, "avx2": 6, "avx512": 8}
#: One multiply-add: without FMA, its addition stands for it.
MULTIPLY_ADD = {"baseline": r"\baddp[sd]\b", "avx2": r"\bvfmadd\d+p[sd]\b.*%ymm", "avx512": r"\bvfmadd\d+p[sd]\b.*%zmm"}


def cmake(pattern):
    """What stands at the group of a pattern in CMakeLists.txt, split at blanks."""
    return re.search(pattern, (REPOSITORY / "CMakeLists.txt").read_text(), re.DOTALL)[1].split()


def flags(isa):
    common = [flag for flag in cmake(r"target_compile_options\(nncore_flags INTERFACE(.*?)\)") if flag.startswith("-")]
    return [*cmake(r'CMAKE_C_FLAGS_RELEASE "(.*?)"'), *common, *cmake(rf'set\(isa_{isa}_flags "?(.*?)"?\)')]


def functions(folder, isa, f64, *options, source=REPOSITORY / "csrc/ops/gemm/gemm.c"):
    """The disassembled functions of a file: name -> [(address, instruction)]."""
    made = folder / f"{source.stem}_{isa}_{f64}.o"
    defines = [f"-DNNC_ISA={isa}", f"-DNNC_BUILD_F64={f64}", "-I", str(REPOSITORY / "csrc")]
    subprocess.run([CC, "-std=gnu11", "-fPIC", *flags(isa), *options, *defines, "-c", str(source), "-o", str(made)], check=True)
    listing = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", str(made)], capture_output=True, text=True, check=True).stdout
    found, body = {}, []
    for line in listing.splitlines():
        if head := re.match(r"[0-9a-f]+ <([\w.]+)>:", line):
            body = found.setdefault(head[1], [])
        elif instruction := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            body.append((int(instruction[1], 16), instruction[2]))
    return found


def innermost_loops(body):
    """The instructions of each loop that holds no other: from the target of a jump backwards to the jump."""
    loops = []
    for address, instruction in body:
        jump = re.match(r"j\w+\s+([0-9a-f]+)", instruction)
        if jump and int(jump[1], 16) <= address:
            loops.append((int(jump[1], 16), address))
    inner = [loop for loop in loops if not any(other != loop and loop[0] <= other[0] and other[1] <= loop[1] for other in loops)]
    return [[text for address, text in body if first <= address <= last] for first, last in inner]


def faults(body, rows, vecs, isa):
    """What is wrong with the loops along k of a tile; an empty list where nothing is."""
    multiply_add = re.compile(MULTIPLY_ADD[isa])
    stack = re.compile(r"\(%(rsp|rbp)\b" if any("%rsp,%rbp" in text for _, text in body) else r"\(%rsp\b")
    counts = [(loop, sum(1 for text in loop if multiply_add.search(text))) for loop in innermost_loops(body)]
    loops = [(loop, count) for loop, count in counts if count]
    found = [] if loops else ["no loop with multiply-adds"]
    for loop, count in loops:
        if count % (rows * vecs):
            found.append(f"{count} multiply-adds, not {rows * vecs}")
        found += [f"touches the stack: {text}" for text in loop if stack.search(text)]
    return found


@pytest.mark.parametrize("f64", [0, 1], ids=["float32", "float64"])
@pytest.mark.parametrize("isa", TILES)
def test_accumulators_stay_in_registers(isa, f64, tmp_path):
    found = functions(tmp_path, isa, f64)
    tiles = {name: tuple(map(int, re.findall(r"\d+", name))) for name in found if name.startswith("tile_")}
    assert set(TILES[isa]) <= {(rows, vecs) for rows, vecs, ahead in tiles.values()}
    wrong = {name: faults(found[name], rows, vecs, isa) for name, (rows, vecs, ahead) in tiles.items()}
    assert not {name: what for name, what in wrong.items() if what}


@pytest.mark.parametrize("f64", [0, 1], ids=["float32", "float64"])
@pytest.mark.parametrize("isa", TILES)
def test_recurrent_accumulators_stay_in_registers(isa, f64, tmp_path):
    found = functions(tmp_path, isa, f64, source=REPOSITORY / "csrc/ops/recurrent/product.c")
    tiles = {name: tuple(map(int, re.findall(r"\d+", name))) for name in found if name.startswith("tile_")}
    assert set(RECURRENT_TILES[isa]) <= set(tiles.values())
    wrong = {name: faults(found[name], rows, vecs, isa) for name, (rows, vecs) in tiles.items()}
    assert not {name: what for name, what in wrong.items() if what}


@pytest.mark.parametrize("isa", TILES)
def test_bf16_accumulators_stay_in_registers(isa, tmp_path):
    found = functions(tmp_path, isa, 0, source=REPOSITORY / "csrc/ops/bf16/product.c")
    tiles = {int(name[5:]): body for name, body in found.items() if re.fullmatch(r"tile_\d+", name)}
    assert sorted(tiles) == list(range(1, BF16_ROWS[isa] + 1))
    wrong = {rows: faults(tiles[rows], rows, 2, isa) for rows in tiles if rows > 2}
    assert not {rows: what for rows, what in wrong.items() if what}


@pytest.mark.parametrize("isa", TILES)
def test_checker_sees_spills(isa, tmp_path):
    """Without optimisation, everything lives on the stack."""
    rows, vecs = TILES[isa][2]
    found = functions(tmp_path, isa, 0, "-O0")
    assert faults(found[f"tile_{rows}x{vecs}_0"], rows, vecs, isa)


def test_checker_sees_a_tile_that_is_too_large(tmp_path):
    """Eight rows of that width need more registers than there are."""
    isa, shape = "avx2", "ROWS_3 4"
    tiles = (REPOSITORY / "csrc/ops/gemm/tiles.h").read_text()
    assert f"#define {shape}" in tiles
    (tmp_path / "ops/gemm").mkdir(parents=True)
    (tmp_path / "ops/gemm/tiles.h").write_text(tiles.replace(f"#define {shape}", f"#define {shape[:-1]}8"))
    vecs = int(shape[5])
    found = functions(tmp_path, isa, 0, "-I", str(tmp_path))
    assert any("stack" in fault for fault in faults(found[f"tile_8x{vecs}_0"], 8, vecs, isa))
