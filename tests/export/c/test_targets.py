"""Files of to_c for other compilers and processors: they compile without a warning, and their self-tests print ok.

The self-tests of several nets are one program. Where a compiler or an emulator is not installed, its tests are skipped;
.ci/emulators installs them on Debian.
"""

import subprocess
from pathlib import Path

import pytest
from export.c_files import WARNINGS, need
from export.nets import random_model

import nncore as nn

C, CPP = ["-std=c99"], ["-x", "c++", "-std=c++17"]
M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
STARTUP = Path(__file__).with_name("cortex_m4.c")

#: name -> the compiler with its options, and what runs the program.
TARGETS = {
    "sanitizers": (["gcc", *C, "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"], []),
    "clang": (["clang", *C, "-O1", "-fsanitize=undefined,address,float-cast-overflow", "-fno-sanitize-recover=all"], []),
    "g++": (["g++", *CPP, "-O1"], []),
    "clang++": (["clang++", *CPP, "-O1"], []),
    "fused": (["gcc", "-std=gnu99", "-O3", "-march=native", "-ffp-contract=fast"], []),
    "aarch64": (["aarch64-linux-gnu-gcc", *C, "-O2"], ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
    "s390x": (["s390x-linux-gnu-gcc", *C, "-O2"], ["qemu-s390x", "-L", "/usr/s390x-linux-gnu"]),
    "cortex-m4": (
        ["arm-none-eabi-gcc", *M4, *C, "-Os", "--specs=rdimon.specs", "-Wl,--section-start=.vectors=0"],
        ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native", "-kernel"],
    ),
}


def gru():
    return nn.Sequential(nn.GRU(4, 32), nn.Linear(32, 2), seed=0).build((6, 4))


def made():
    """The files of a score of nets by name."""
    mlp = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 5), nn.Softmax(), seed=0)
    index = nn.Input((3,), name="index")
    table = nn.Model(index, nn.Linear(6, 2)(nn.Flatten()(nn.Embedding(9, 2)(index))), seed=0)
    lstm = nn.Sequential(nn.LSTM(3, 8, return_sequences=True), nn.GRU(8, 5), nn.Linear(5, 1), seed=0).build((7, 3))
    both = nn.Sequential(nn.GRU(3, 6, bidirectional=True), nn.Linear(12, 2), seed=0).build((5, 3))
    nets = {
        "mlp": (mlp, {}),
        "fast": (mlp, {"exp": "fast"}),
        "int8": (mlp, {"weights": "int8", "exp": "fast"}),
        "half": (mlp, {"weights": "float16"}),
        "bfloat": (mlp, {"weights": "bfloat16", "workspace": "caller"}),
        "wide": (nn.Sequential(nn.Linear(3, 9), nn.GELU(), nn.LayerNorm(9), seed=0, dtype="float64"), {"exp": "fast"}),
        "table": (table, {"weights": "int8"}),
        "gru": (gru(), {"exp": "fast"}),
        "gru8": (gru(), {"exp": "fast", "weights": "int8"}),
        "lstm": (lstm, {}),
        "lstm16": (lstm, {"weights": "bfloat16"}),
        "both": (both, {"exp": "fast"}),
        "before": (nn.Sequential(nn.GRU(3, 6, reset_after=False), nn.Linear(6, 2), seed=0).build((5, 3)), {}),
    }
    for seed, options in zip(range(4, 12), [{}, {"exp": "fast"}, {"weights": "int8"}, {"weights": "float16"}] * 2, strict=True):
        nets[f"random{seed}"] = random_model(seed)[0], options
    return {name: model.to_c(name=name, **options) for name, (model, options) in nets.items()}


@pytest.fixture(scope="module")
def files():
    return made()


@pytest.fixture(scope="module")
def program(files, tmp_path_factory):
    """The self-tests of all nets as one file."""
    path = tmp_path_factory.mktemp("targets") / "all.c"
    parts = [f"#define {name.upper()}_SELFTEST" for name in files]
    parts += [
        found.source.replace("int main(void)", f"int {name}_main(void);\nint {name}_main(void)") for name, found in files.items()
    ]
    calls = "".join(f'    if ({name}_main()) {{\n        return puts("in {name}"), 1;\n    }}\n' for name in files)
    path.write_text("\n".join([*parts, f"int main(void)\n{{\n{calls}    return 0;\n}}\n"]))
    return path


@pytest.mark.parametrize("target", TARGETS)
def test_self_tests(target, program, files, tmp_path):
    compiler, runner = TARGETS[target]
    need(compiler[0], *runner[:1])
    more = [STARTUP] if target == "cortex-m4" else []
    made = tmp_path / "all"
    built = subprocess.run([*compiler, *WARNINGS, "-o", made, program, *more, "-lm"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([*runner, made], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.stdout.split() == ["ok"] * len(files), done.stdout + done.stderr
    assert done.returncode == 0


def test_flash_and_ram_are_those_that_the_linker_sees(files, tmp_path):
    """On a Cortex-M4, constants and the workspace have the sizes that to_c announces."""
    need("arm-none-eabi-gcc", "arm-none-eabi-size")
    paths = [tmp_path / f"{name}.c" for name in files]
    for path, found in zip(paths, files.values(), strict=True):
        path.write_text(found.source)
    subprocess.run(["arm-none-eabi-gcc", *M4, *C, "-Os", *WARNINGS, "-c", *paths], check=True, cwd=tmp_path)
    for path, found in zip(paths, files.values(), strict=True):
        lines = subprocess.run(["arm-none-eabi-size", "-A", path.with_suffix(".o")], check=True, capture_output=True, text=True)
        size = {words[0]: int(words[1]) for words in map(str.split, lines.stdout.splitlines()) if words and words[0][0] == "."}
        padding = 3 * found.source.count("static const")  # arrays of bytes end anywhere
        assert size.get(".rodata", 0) <= found.flash + padding, path.stem
        assert size.get(".rodata", 0) >= found.flash - 64, path.stem  # GCC makes instructions of a few short arrays
        ram = 0 if "WORKSPACE_SIZE" in found.header else found.ram  # which the caller has
        assert (size[".data"], size[".bss"]) == (0, ram), path.stem


@pytest.mark.parametrize(
    ("cc", "run"),
    [
        ("clang", ""),
        ("aarch64-linux-gnu-gcc", "qemu-aarch64 -L /usr/aarch64-linux-gnu"),
        ("s390x-linux-gnu-gcc -static", "qemu-s390x"),
    ],
)
def test_verify_with_other_compilers(cc, run, tmp_path):
    """A thousand inputs of a net whose weights need the order of bytes."""
    need(cc.split()[0], *run.split()[:1])
    model = nn.Sequential(nn.Linear(6, 11), nn.Sigmoid(), nn.Linear(11, 3), seed=0)
    model.to_c(tmp_path / "net.c", weights="float16", exp="fast")
    report = nn.export.verify_c(model, tmp_path / "net.c", cc, run=run)
    assert report.samples == 1000
    assert report.ulp < 4
