"""What is installed: small, quick to import, silent, without side effects, complete."""

import ast
import base64
import hashlib
import importlib
import importlib.util
import inspect
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import nncore
from nncore import _core
from nncore._core import files, kernels, plans

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = Path(nncore.__file__).parent
WHEEL_LIMIT = 2_000_000
#: What Zopfli, with which `make wheel` compresses, makes of the bytes of deflate: as measured on a wheel.
ZOPFLI = 0.973
ZIP_ENTRY = 92  # bytes of the two headers of a file in a zip, without its name, which is in both
_spec = importlib.util.spec_from_file_location("compress_wheel", REPOSITORY / ".ci" / "compress_wheel.py")
compress_wheel = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compress_wheel)
EXTENSIONS = {"plans": plans, "kernels": kernels, "files": files}
FOR_TESTS = ("kernels",)  # builds for tests and benchmarks have them, and the wheel does not
ACTIVATIONS, LOSSES, OPTIMIZERS = (_core.OPS[kind] for kind in ("activation", "loss", "optimizer"))
#: Some valid value for every attribute that ops.def names.
ATTRIBUTES = {
    "threshold": 0.5,
    "negative_slope": 0.01,
    "alpha": 0.9,
    "beta": 1.0,
    "min_val": -1.0,
    "max_val": 1.0,
    "delta": 1.0,
    "gamma": 2.0,
    "focal_alpha": 0.25,
    "full": 1.0,
    "log_variance": 1.0,
    "lambd": 0.2,
    "value": -0.5,
    "label_smoothing": 0.1,
    "momentum": 0.9,
    "dampening": 0.0,
    "nesterov": 1.0,
    "lr_decay": 0.01,
    "eps": 1e-8,
    "initial_accumulator_value": 0.0,
    "centered": 1.0,
    "rho": 0.9,
    "momentum_decay": 0.004,
    "decoupled_weight_decay": 0.0,
    "eta_minus": 0.5,
    "eta_plus": 1.2,
    "step_min": 1e-6,
    "step_max": 50.0,
    "beta1": 0.9,
    "beta2": 0.999,
    "amsgrad": 1.0,
    "epsilon_hat": 1.0,
    "lr_in_momentum": 1.0,
}


def attributes(op):
    return [v for name in op["attributes"] for v in ((1.0, 0.5) if name.endswith("[]") else (ATTRIBUTES[name],))]


def named(op):
    return op["name"]


def run_python(code, tmp_path, **environment):
    """A fresh interpreter, in a folder from which nothing can be imported by accident."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def output_of(code, tmp_path, **environment):
    process = run_python(code, tmp_path, **environment)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_compressed_package_is_within_the_wheel_limit():
    """A wheel is a zip of these files; compressing them takes milliseconds where building the wheel takes minutes. `make wheel`
    measures the wheel itself."""
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files = [path for path in files if path.name.partition(".")[0] not in FOR_TESTS]
    assert any(path.suffix == ".so" for path in files)
    compressed = sum(len(zlib.compress(compress_wheel.shipped(path.as_posix(), path.read_bytes()), 9)) for path in files)
    entries = sum(ZIP_ENTRY + 2 * len(str(path.relative_to(PACKAGE.parent))) for path in files)
    assert ZOPFLI * compressed + entries <= WHEEL_LIMIT


def test_compressed_wheel_has_the_same_files_and_a_limit(tmp_path):
    """What `make wheel` does last: the same names, times, permissions and bytes but comments in a smaller file, or an error."""
    before = tmp_path / "before.whl"
    with zipfile.ZipFile(before, "w", zipfile.ZIP_DEFLATED) as file:
        for path in (PACKAGE / "py.typed", Path(nncore.__file__), Path(files.__file__)):
            file.write(path, f"nncore/{path.name}")
        rows = [f"{name},sha256=of,1" for name in file.namelist()]
        file.writestr("nncore.dist-info/RECORD", "\n".join([*rows, "nncore.dist-info/RECORD,,\n"]))
    after = Path(shutil.copy(before, tmp_path / "after.whl"))

    def compress(limit):
        command = [sys.executable, REPOSITORY / ".ci/compress_wheel.py", str(limit), after]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert compress(before.stat().st_size).returncode == 0
    assert after.stat().st_size < before.stat().st_size
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after) as new:
        for one, other in zip(old.infolist(), new.infolist(), strict=True):
            assert (one.filename, one.date_time, one.external_attr) == (other.filename, other.date_time, other.external_attr)
            assert other.compress_type == zipfile.ZIP_DEFLATED
            if one.filename.endswith(".so"):
                assert new.read(other) == old.read(one)
        *rows, last = (line.split(",") for line in new.read("nncore.dist-info/RECORD").decode().splitlines())
        assert last == ["nncore.dist-info/RECORD", "", ""]
        for name, digest, size in rows:
            read = new.read(name)
            assert int(size) == len(read)
            assert base64.urlsafe_b64decode(digest.removeprefix("sha256=") + "=") == hashlib.sha256(read).digest()
        assert len(rows) == 3
    process = compress(100)
    assert process.returncode == 1
    assert "is larger than 100 bytes" in process.stderr


def test_modules_without_notes_are_the_same_program():
    """With all their lines in their places; what looks like a comment in a text stays, and so do docstrings of public names."""
    source = b'# of the file\nx = 1  # why\n"""doc # kept"""\n    # alone\ny = "#"  # end'
    assert compress_wheel.without_notes(source) == b'\nx = 1\n"""doc # kept"""\n\ny = "#"\n'
    source = b'def _f():\n    """a\n    b"""\n    return 1\n\n\nclass _C:\n    """c"""\n\n\ndef f():\n    """d"""\n    return 2\n'
    assert compress_wheel.without_notes(source) == source.replace(b'    """a\n    b"""', b"\n")
    for path in [*PACKAGE.glob("*.py"), *(PACKAGE / "_core").glob("*.pyi"), *(PACKAGE / "models").glob("*.py")]:
        before, after = ast.parse(path.read_bytes()), ast.parse(compress_wheel.without_notes(path.read_bytes()))
        left = [*compress_wheel.private_docstrings(before)]
        for node in ast.walk(before):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.body[0] in left:
                del node.body[0]
        assert ast.dump(after, include_attributes=True) == ast.dump(before, include_attributes=True)


def test_what_to_numpy_writes_is_the_same_from_a_wheel():
    for path in (PACKAGE / "export" / "numpy_file").glob("*.py"):
        assert compress_wheel.shipped(path.relative_to(PACKAGE.parent).as_posix(), path.read_bytes()) == path.read_bytes()
    assert b"#" not in compress_wheel.shipped("nncore/a.py", b"x = 1  # why")


@pytest.mark.exhaustive
def test_wheel_from_the_sdist(tmp_path):
    pytest.importorskip("build")
    subprocess.run([sys.executable, "-m", "build", "--outdir", tmp_path, REPOSITORY], check=True, timeout=1800)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size <= WHEEL_LIMIT
    names = zipfile.ZipFile(wheel).namelist()
    extensions = [name.rpartition("/")[2].partition(".")[0] for name in names if name.endswith(".so")]
    assert sorted(extensions) == sorted({*EXTENSIONS}.difference(FOR_TESTS))
    assert not [name for name in names if name.startswith(tuple(f"nncore/_core/{name}." for name in FOR_TESTS))]
    assert not [name for name in names if name.endswith((".pyx", ".pxi", ".pxd", ".c", ".h"))]


def test_import_is_quick(tmp_path):
    """At most 10 ms beyond NumPy, in fresh interpreters, where NumPy itself takes 100; on a slower machine, a tenth of NumPy's.

    The least of seven: whatever else the machine does can only add.
    """
    code = (
        "import time; start = time.process_time(); import numpy; between = time.process_time(); import nncore; "
        "print(between - start, time.process_time() - between)"
    )
    both = [tuple(map(float, output_of(code, tmp_path).split())) for _ in range(7)]
    numpy_alone, beyond = (min(each) for each in zip(*both, strict=True))
    assert beyond <= max(0.010, 0.1 * numpy_alone), both


def own_modules(code, tmp_path):
    show = "; import sys; print(*(name for name in sys.modules if name.partition('.')[0] == 'nncore'))"
    return set(output_of(code + show, tmp_path).split())


def test_import_loads_the_core_and_no_more(tmp_path):
    assert own_modules("import nncore", tmp_path) == {
        "nncore",
        "nncore._core",
        "nncore._core.plans",
        "nncore._late_calls",
        "nncore._lazy",
        "nncore.errors",
    }


def test_programs_load_what_they_use(tmp_path):
    code = (
        "import nncore as nn, numpy as np; model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)); "
        "model.compile(loss='mse', optimizer='adam'); model.fit(np.zeros((8, 3)), np.zeros((8, 1))); "
        "model.predict(np.zeros((1, 3)))"
    )
    loaded = own_modules(code, tmp_path)
    assert {"nncore.models.sequential", "nncore.layers.linear", "nncore.training.fit"} <= loaded
    rare = ("layers.embedding", "callbacks.backup", "schedules.decay", "saving.model_file", "checking", "training.lbfgs")
    assert not loaded & {f"nncore.{name}" for name in rare}


@pytest.mark.parametrize("package", ["nncore", "nncore.layers", "nncore.callbacks", "nncore.schedules"])
def test_lazy_names_are_those_that_type_checkers_see(package):
    """What stands under TYPE_CHECKING, what is imported at first use, and __all__ are three lists of the same."""
    module = importlib.import_module(package)
    (block,) = (
        node
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    seen = {}
    for statement in block.body:
        home = importlib.import_module("." * statement.level + (statement.module or ""), package)
        seen |= {alias.name: home for alias in statement.names}
    assert {*seen} == {*module.__all__} - {"__version__"}
    assert {*seen} <= {*dir(module)}
    for name, home in seen.items():
        assert getattr(module, name) is getattr(home, name)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_everything_exported_exists():
    for name in nncore.__all__:
        assert hasattr(nncore, name), name
    missing = [name for name in nncore.layers.__all__ if name not in nncore.__all__]
    assert missing == []


def without_kernels(tmp_path):
    """The package as a user installs it."""
    left_out = shutil.ignore_patterns("__pycache__", *(f"{name}.*" for name in FOR_TESTS))
    shutil.copytree(PACKAGE, tmp_path / "nncore", ignore=left_out, copy_function=os.symlink)
    return {"PYTHONPATH": str(tmp_path)}


def test_package_does_without_the_extension_for_tests(tmp_path):
    """Losses and metrics that are called by themselves have their kernels, and no file imports the others."""
    code = (
        "import nncore as nn, numpy as np; y, p = np.array([[0.0], [1.0]]), np.array([[0.25], [0.75]]); "
        "print(nn.losses.MeanSquaredError()(y, p), nn.metrics.Accuracy()(y, p), nn.metrics.MSE()(y, p), "
        "nn.metrics.Accuracy()([1, 0], [[0.1, 0.9], [0.8, 0.2]]))"
    )
    assert output_of(code, tmp_path, **without_kernels(tmp_path)).split() == ["0.0625", "1.0", "0.0625", "1.0"]
    for path in PACKAGE.rglob("*.py"):
        names = (node.names for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom))
        assert not {*FOR_TESTS} & {alias.name for each in names for alias in each}, path


def test_tests_say_that_the_extension_for_tests_is_missing(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ops/transpose"]
    environment = {**os.environ, **without_kernels(tmp_path)}
    process = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 2
    assert "This nncore has no nncore._core.kernels" in process.stdout


def test_import_is_silent(tmp_path):
    process = run_python("import nncore", tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_import_starts_no_thread(tmp_path):
    count = "print(len(os.listdir('/proc/self/task')))"
    before, after = output_of(f"import numpy, os; {count}; import nncore; {count}", tmp_path).split()
    assert after == before


def test_import_leaves_denormals_alone(tmp_path):
    code = "import numpy, nncore; tiny = numpy.float32(1e-40); print(float(tiny * numpy.float32(0.5)) > 0)"
    assert output_of(code, tmp_path).strip() == "True"


@pytest.mark.skipif(platform.machine() != "x86_64" or not sys.platform.startswith("linux"), reason="MXCSR in glibc's fenv_t")
def test_import_leaves_the_floating_point_state_alone(tmp_path):
    """MXCSR without its six sticky exception flags, which any inexact result sets, in the bytes from 28 on of fenv_t."""
    code = (
        "import ctypes, ctypes.util, numpy\n"
        "libm = ctypes.CDLL(ctypes.util.find_library('m') or 'libm.so.6')\n"
        "def mxcsr():\n"
        "    environment = (ctypes.c_uint32 * 8)()\n"
        "    assert libm.fegetenv(environment) == 0\n"
        "    return environment[7] & ~0x3F\n"
        "before = mxcsr()\n"
        "import nncore\n"
        "print(before, mxcsr())\n"
    )
    before, after = output_of(code, tmp_path).split()
    assert int(before) == 0x1F80
    assert after == before


def test_instruction_set_is_lowered_by_the_environment(tmp_path):
    for isa in _core.isas():
        assert output_of("from nncore import _core; print(_core.isa())", tmp_path, NNCORE_ISA=isa).strip() == isa


def test_unknown_instruction_set_is_an_import_error(tmp_path):
    process = run_python("import nncore._core", tmp_path, NNCORE_ISA="mmx")
    assert process.returncode == 1
    assert "ImportError: NNCORE_ISA=mmx: no such instruction set; this CPU has baseline" in process.stderr


STUBS = {name: ast.parse((PACKAGE / f"_core/{name}.pyi").read_text(encoding="utf-8")).body for name in EXTENSIONS}


def stub_parameters(function):
    """Names and defaults, as far as a stub and a compiled function can be compared."""
    arguments = function.args
    keywords = [arguments.kwarg] if arguments.kwarg else []
    return [argument.arg for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs + keywords]


def test_every_extension_has_its_stub():
    assert {path.name.partition(".")[0] for path in (PACKAGE / "_core").glob("*.so")} == {*EXTENSIONS}


@pytest.mark.parametrize(
    ("extension", "function"),
    [(name, node) for name, body in STUBS.items() for node in body if isinstance(node, ast.FunctionDef)],
    ids=lambda node: getattr(node, "name", node),
)
def test_function_is_what_the_stub_says(extension, function):
    found = getattr(EXTENSIONS[extension], function.name)
    assert list(inspect.signature(found).parameters) == stub_parameters(function)


@pytest.mark.parametrize(
    ("extension", "owner", "method"),
    [
        (name, c.name, node)
        for name, body in STUBS.items()
        for c in body
        if isinstance(c, ast.ClassDef)
        for node in c.body
        if isinstance(node, ast.FunctionDef)
    ],
    ids=lambda node: getattr(node, "name", node),
)
def test_method_is_what_the_stub_says(extension, owner, method):
    found = getattr(getattr(EXTENSIONS[extension], owner), method.name)
    if not method.decorator_list and not method.name.startswith("__"):  # properties and slots have no signature
        assert list(inspect.signature(found).parameters) == stub_parameters(method)


def test_core_says_what_it_exports():
    """Its list has no name that is not there, and nothing public of the plans is left out but what they import themselves."""
    assert len({*_core.__all__}) == len(_core.__all__)
    assert all(getattr(_core, name) is getattr(plans, name) for name in _core.__all__)
    defined = {node.name for node in STUBS["plans"] if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert defined <= {*_core.__all__}


def test_ops_are_those_of_the_registry_in_its_order():
    text = re.sub(r"/\*.*?\*/", "", (REPOSITORY / "csrc/ops/ops.def").read_text(), flags=re.DOTALL)
    text = re.sub(r",\s+", ", ", text)  # a row may be as long as two lines
    for kind, ops in _core.OPS.items():
        rows = re.findall(rf"^NNC_{kind.upper()}\((\w+)(.*)\) *$", text, flags=re.MULTILINE)
        assert [op["name"] for op in ops] == [name for name, _ in rows]
        for op, (_, rest) in zip(ops, rows, strict=True):
            lists = re.findall(r"\b(?:SIZES|ATTRIBUTES)\(([^)]*)\)", rest)
            assert [", ".join(op[key]) for key in ("sizes", "attributes") if key in op] == lists


#: Kernels that share a function with others: those that make sense one after the other only, and those of another layout.
TOGETHER = {f"batch_norm_{part}": "batch_norm_in_parts" for part in ("moments", "merge", "sums", "total")}
TOGETHER |= {"gemm_nt": "gemm", "bf16_product_at": "bf16_product"}
#: Kernels that are parts of a plan's walk over time. As layers, they are run by plan/layers/test_recurrent_bf16.py and
#: truth/test_gru_before.py, in each run of the suite on another instruction set.
IN_PLANS = {"bf16_recurrent_forward", "bf16_recurrent_backward", "gru_before_forward", "gru_before_backward"}


def test_every_kernel_has_its_function():
    functions = {op["name"]: TOGETHER.get(op["name"], op["name"]) for kind in ("kernel", "low_kernel") for op in _core.OPS[kind]}
    assert functions.keys() >= TOGETHER.keys()
    assert {name for name, function in functions.items() if not callable(getattr(kernels, function, None))} == IN_PLANS


@pytest.mark.parametrize("op", ACTIVATIONS, ids=named)
def test_activation_slots_are_filled(op, isa, dtype, rng):
    x = rng.normal(size=(3, 5)).astype(dtype)
    y = kernels.activation_forward(op["name"], x, attributes(op), isa=isa)
    dx = kernels.activation_backward(op["name"], x, y if op["saves"] == "output" else x, attributes(op), isa=isa)
    for result in (y, dx):
        assert result.dtype == dtype
        assert result.shape == x.shape
        assert np.isfinite(result).all()


@pytest.mark.parametrize("op", LOSSES, ids=named)
def test_loss_slots_are_filled(op, isa, dtype, rng):
    z = rng.uniform(0.1, 0.9, size=(3, 6)).astype(dtype)
    z /= z.sum(axis=1, keepdims=True)
    target = rng.integers(5, size=3).astype(dtype) if op["target"] == "index" else np.roll(z, 1, axis=1)
    target = target[:, :3] if op["target"] == "half" else target
    row_loss, grad, pred = kernels.loss(op["name"], z, target, attr=attributes(op), isa=isa)
    assert row_loss.shape == (3,)
    assert grad.shape == z.shape
    assert (pred is not None) == op["name"].endswith("_logits")
    for result in (row_loss, grad):
        assert result.dtype == dtype
        assert np.isfinite(result).all()


@pytest.mark.parametrize("op", OPTIMIZERS, ids=named)
def test_optimizer_slots_are_filled(op, isa, dtype, rng):
    param, grad = rng.normal(size=(2, 37)).astype(dtype)
    before = param.copy()
    moments = [np.zeros(37, dtype) for _ in range(op["moments"])]
    kernels.optimizer_step(op["name"], param, grad, moments, lr=0.1, step=1, attr=attributes(op), isa=isa)
    assert (param != before).all() == (op["name"] != "lbfgs")  # whose steps SciPy takes
    assert np.isfinite(param).all()
