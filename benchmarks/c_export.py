"""C files of `Model.to_c` against emlearn, onnx2c and plain loops: time of a call, code, and instructions on a Cortex-M4.

    python benchmarks/c_export.py --onnx2c PROGRAM   print the tables

It needs gcc, and uses clang, arm-none-eabi-gcc and QEMU if they are there. emlearn comes from PyPI; onnx2c is a program that you
have. Contestants run in turn, and the shortest of many rounds counts. Code is what is left of the file's functions after unused
ones are dropped; libraries are not counted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, os.path.dirname(__file__))
from c_peers import FOLDER, NETS, Unable, emlearn_flags, with_emlearn, with_nncore, with_onnx2c, with_plain_loops

SECTIONS = ["-std=c99", "-w", "-ffunction-sections", "-fdata-sections"]
M4 = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
TARGETS = {"x86-64 -O2": ["gcc", "-O2"], "Cortex-M4 -O2": [*M4, "-O2"], "Cortex-M4 -Os": [*M4, "-Os"]}
QEMU = ["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-semihosting-config", "enable=on,target=native"]


def write(folder: Path, net: str, onnx2c: str | None) -> tuple[dict[str, Path], dict[str, str]]:
    """Write the files of all contestants for a net; return them, and why others have none."""
    makers = {
        "nncore": lambda: with_nncore(net, "libm"),
        'nncore, exp="fast"': lambda: with_nncore(net, "fast"),
        "plain loops": lambda: with_plain_loops(net),
        "emlearn": lambda: with_emlearn(net),
        "onnx2c": lambda: with_onnx2c(net, onnx2c, folder),
    }
    if net.startswith("MLP"):
        del makers['nncore, exp="fast"']  # there is no exponential function in it
    files, unable = {}, {}
    for name, make in makers.items():
        try:
            source = make()
        except Unable as why:
            unable[name] = str(why)
            continue
        files[name] = folder / f"{re.sub('[^a-z0-9]+', '_', name)}.c"
        files[name].write_text(source)
    return files, unable


def times(files: dict[str, Path], net: str, compiler: str, rounds: int) -> dict[str, float]:
    """Return nanoseconds for a call, after a check that all agree."""
    timing = FOLDER / "timing.c"
    folder = next(iter(files.values())).parent
    subprocess.run(["gcc", "-O2", timing, "-o", folder / "timing", "-ldl"], check=True)
    libraries = []
    for path in files.values():
        libraries.append(path.with_suffix(f".{compiler}.so"))
        flags = [*SECTIONS, *emlearn_flags(), "-O2", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, path, "-o", libraries[-1], "-lm"], check=True)
    _, inputs, outputs = NETS[net]
    run = subprocess.run(
        [folder / "timing", str(rounds), str(inputs), str(outputs), *libraries], capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    found = np.array([line.split() for line in lines[: len(files)]], float)
    np.testing.assert_allclose(found, found[:1].repeat(len(found), 0), atol=2e-5, err_msg=f"{net}: {list(files)} differ")
    return dict(zip(files, map(float, lines[len(files) :]), strict=True))


def sizes(path: Path, target: list[str]) -> dict[str, int]:
    """Return bytes of code, constants and memory, without functions that nobody calls, and the largest frame on the stack."""
    found, linked = path.with_suffix(".o"), path.with_suffix(".linked.o")
    subprocess.run([*target, *SECTIONS, *emlearn_flags(), "-fstack-usage", "-c", path, "-o", found], check=True)
    frames = [int(line.split("\t")[1]) for line in found.with_suffix(".su").read_text().splitlines()]
    prefix = target[0].removesuffix("gcc")
    subprocess.run([f"{prefix}ld", "-r", "--gc-sections", "-e", "entry", found, "-o", linked], check=True)
    listed = subprocess.run([f"{prefix}size", "-A", linked], capture_output=True, text=True, check=True).stdout
    total = {"code": 0, "constants": 0, "memory": 0, "stack": max(frames)}
    for line in listed.splitlines():
        for begin, what in ((".text", "code"), (".rodata", "constants"), (".data", "memory"), (".bss", "memory")):
            if line.startswith(begin):
                total[what] += int(line.split()[1])
    return total


def instructions(path: Path, optimize: str) -> int:
    """Return how many instructions a call takes on a Cortex-M4, the C library's included."""
    counts = []
    for calls in (3, 4):
        program, log = path.with_suffix(f".{calls}.elf"), path.with_suffix(".log")
        flags = [*M4, optimize, *SECTIONS, *emlearn_flags(), f"-DCALLS={calls}", "-nostartfiles", "--specs=nosys.specs"]
        places = ["-Wl,--section-start=.vectors=0", "-Wl,-Ttext=0x100", "-Wl,-Tdata=0x20000000", "-Wl,-e,reset"]
        subprocess.run([*flags, *places, path, FOLDER / "cortex_m4.c", "-o", program, "-lm"], check=True, capture_output=True)
        options = ["-singlestep", "-d", "exec,nochain", "-D", log, "-kernel", program]
        subprocess.run([*QEMU, *options], check=True, timeout=120, stdin=subprocess.DEVNULL, capture_output=True)
        counts.append(sum(line.startswith("Trace") for line in log.open(errors="replace")))
        log.unlink()
    return counts[1] - counts[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx2c", help="the program, if you have built it")
    parser.add_argument("--rounds", type=int, default=2000, help="of 100 calls each")
    given = parser.parse_args()
    has_arm = shutil.which(M4[0]) is not None
    compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
    targets = {name: command for name, command in TARGETS.items() if has_arm or "M4" not in name}
    counted = [name for name in targets if "M4" in name and shutil.which(QEMU[0])]
    heads = (
        [f"{c} -O2, ns" for c in compilers]
        + [f"code {t}" for t in targets]
        + ["static RAM", "largest frame"]
        + [f"{t}, instructions" for t in counted]
    )
    for net in NETS:
        print(f"\n| {net} | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
        with tempfile.TemporaryDirectory() as folder:
            files, unable = write(Path(folder), net, given.onnx2c)
            measured = {compiler: times(files, net, compiler, given.rounds) for compiler in compilers}
            for name, path in files.items():
                size = {target: sizes(path, command) for target, command in targets.items()}
                cells = [f"{measured[c][name]:.0f}" for c in compilers] + [str(size[t]["code"]) for t in targets]
                cells += [str(next(reversed(size.values()))[what]) for what in ("memory", "stack")]
                cells += [str(instructions(path, targets[t][-1])) for t in counted]
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
        for name, why in unable.items():
            print(f"| {name} |{f' {why} |' + ' |' * (len(heads) - 1)}")


if __name__ == "__main__":
    main()
