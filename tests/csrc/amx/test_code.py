"""Tile instructions stand where they belong: nowhere in the code for other instruction sets, nor in that for products in float32.

A process without permission, or a thread that has not entered, would die of one.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nncore

REPOSITORY = Path(__file__).resolve().parents[3]
CSRC = REPOSITORY / "csrc"
#: The files with the instructions: those of tiles.c configure and release, those of amx.h are macros for the kernels.
CONFIGURES, COMPUTES = "base/tiles.c", "ops/amx.h"
#: The compiler's own functions for tiles, and what makes it use the instructions by itself.
FROM_THE_COMPILER = r"\b_+tile_\w+|__tile1024i|amxintrin|-mamx|-march|target\s*\(\s*\"[^\"]*amx|__builtin_ia32_(?:\w*tile|tdp)"
MNEMONIC = r"\b(?:ldtilecfg|sttilecfg|tilerelease|tilezero|tileloaddt?1?|tilestored|tdp(?:bf16ps|fp16ps|b[su][su]d))\b"
#: VEX.128.W0 in the map 0F38 with one of the four opcodes of tiles: no other instructions have these bytes, but data may.
NEITHER_W_NOR_L = b"".join(b"\\x%02x" % byte for byte in range(256) if not byte & 0x84)
BYTES = re.compile(rb"\xc4[\x02\x22\x42\x62\x82\xa2\xc2\xe2][" + NEITHER_W_NOR_L + rb"][\x49\x4b\x5c\x5e]", re.DOTALL)

needs_sources = pytest.mark.skipif(not CSRC.is_dir(), reason="the sources are not here")


# Sources ------------------------------------------------------------------------------------------------------------------


def sources(root):
    """Path from the root -> text without comments, of every file that the core is compiled from."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.suffix in {".c", ".h", ".inc", ".def"}:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.DOTALL)
            found[path.relative_to(root).as_posix()] = text
    return found


def faults(root):
    """What is wrong with the sources."""
    found = []
    for name, text in sources(root).items():
        found += [f"{name}: {match}" for match in re.findall(FROM_THE_COMPILER, text)]
        if name not in (CONFIGURES, COMPUTES):
            found += [f"{name}: {match}" for match in re.findall(MNEMONIC, text)]
        if name.startswith("plan/"):
            found += [f"{name}: {match}" for match in re.findall(r"low_kernels_for\(\w+(?:->\w+)*->isa\)", text)]
    return found


@needs_sources
def test_the_sources_have_tile_instructions_in_two_files():
    assert faults(CSRC) == []
    texts = sources(CSRC)
    assert set(re.findall(MNEMONIC, texts[CONFIGURES])) == {"ldtilecfg", "tilerelease"}
    assert {"tileloadd", "tilestored", "tilezero", "tdpbf16ps", "tdpbssd"} <= set(re.findall(MNEMONIC, texts[COMPUTES]))
    assert not re.search(FROM_THE_COMPILER, (REPOSITORY / "CMakeLists.txt").read_text())


@needs_sources
@pytest.mark.parametrize(
    ("file", "planted"),
    [
        ("ops/gemm/gemm.c", "_tile_loadd(0, x, 64);"),
        ("ops/op.h", "#include <amxintrin.h>"),
        ("ops/gemm/pack.h", '__attribute__((target("avx512f,amx-tile"))) void f(void);'),
        ("plan/plan.h", '__asm__("tilezero %tmm0");'),
        ("ops/amx.h", "__tile1024i t;"),
        ("plan/run/train_typed.c", "k = nnc_low_kernels_for(run->plan->isa);"),
    ],
)
def test_a_planted_use_is_found(file, planted, tmp_path):
    shutil.copytree(CSRC, tmp_path / "csrc")
    path = tmp_path / "csrc" / file
    path.write_text(f"{planted}\n{path.read_text()}")
    assert [fault for fault in faults(tmp_path / "csrc") if fault.startswith(f"{file}: ")]


# Machine code -------------------------------------------------------------------------------------------------------------

OBJDUMP = shutil.which("objdump")
needs_objdump = pytest.mark.skipif(not OBJDUMP, reason="no objdump to disassemble with")


def instructions(path):
    """Function -> names of its tile instructions. Only a file that may have some is disassembled, as that takes long."""
    if not BYTES.search(path.read_bytes()):
        return {}
    listing = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    found, function = {}, ""
    for line in listing.splitlines():
        if head := re.match(r"[0-9a-f]+ <([\w.]+)>:", line):
            function = head[1]
        elif name := re.match(rf"\s*[0-9a-f]+:\s+({MNEMONIC})", line):
            found.setdefault(function, set()).add(name[1])
    return found


@needs_objdump
def test_the_extension_for_single_kernels_has_none():
    """It gets the kernels' addresses from the other one."""
    folder = Path(nncore._core.__file__).parent
    (kernels,), (plans,) = folder.glob("kernels.*.so"), folder.glob("plans.*.so")
    assert instructions(kernels) == {}
    if "avx2" in nncore._core.isas():  # built for x86-64
        assert instructions(plans) != {}


def objects():
    """The objects of the build that is installed: path in the build's folder -> path. The Makefile names the folder."""
    build = REPOSITORY / "build" / f"dev{Path(sys.prefix).name.removeprefix('.venv')}" / "CMakeFiles"
    return {path.relative_to(build).as_posix(): path for path in sorted(build.rglob("*.o"))}


@pytest.fixture(scope="module")
def built():
    """The tile instructions of each object that has some."""
    if not OBJDUMP:
        pytest.skip("no objdump to disassemble with")
    paths = objects()
    if not any(name.startswith("low_amx.dir/") for name in paths):
        pytest.skip("there is no build for x86-64 in build/")
    return {name: found for name, path in paths.items() if (found := instructions(path))}


def test_objects_with_tile_instructions_are_those_for_amx(built):
    configuring = f"nncore.dir/csrc/{CONFIGURES}.o"
    assert {name for name in built if not name.startswith("low_amx.dir/")} == {configuring}
    assert built[configuring] == {"nnc_tiles_configure": {"ldtilecfg"}, "nnc_tiles_release": {"tilerelease"}}


def test_kernels_for_amx_leave_the_configuration(built):
    """They compute with the eight tiles of tiles.c, and only in files that include amx.h."""
    for name, functions in built.items():
        if name.startswith("low_amx.dir/"):
            assert not {"ldtilecfg", "tilerelease", "sttilecfg"} & set().union(*functions.values()), name
            source = name.removeprefix("low_amx.dir/csrc/").removesuffix(".o")
            assert COMPUTES in included(source), name


def included(file):
    """All files that a source includes, directly or not."""
    texts, found, left = sources(CSRC), set(), [file]
    while left:
        for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', texts[left.pop()], re.MULTILINE):
            if target not in found:
                found.add(target)
                left.append(target)
    return found


@needs_objdump
def test_the_search_sees_every_instruction(tmp_path, amx):
    """In the emulator's forms, all of them stand, with every kind of operand."""
    found = set().union(*instructions(amx.build("forms.c")).values())
    assert found == {
        "ldtilecfg", "sttilecfg", "tilerelease", "tilezero", "tileloadd", "tileloaddt1", "tilestored", "tdpbf16ps", "tdpbssd",
        "tdpbsud", "tdpbusd", "tdpbuud",
    }  # fmt: skip
