"""Tiles: permission is asked for only where it is needed, their state stays inside of calls, and nothing around them changes a bit.

Each test is a program of its own, on the CPU's tiles or on those of the emulator (tests/csrc/amx). It prints digests of what it
learned. The truth is the digest of the undisturbed program on AVX-512.
"""

import functools

import pytest

PRELUDE = """
import ctypes, faulthandler, hashlib, os, signal, sys, threading, time
import numpy as np
import nncore as nn
from nncore import _core

libc = ctypes.CDLL(None, use_errno=True)
GET, ARCH_PRCTL = 0x1022, 158

def permitted():
    mask = ctypes.c_uint64()
    libc.syscall(ARCH_PRCTL, GET, ctypes.byref(mask))
    return bool(mask.value >> 18 & 1)

def executed(name=None):
    '''How many tile instructions so far; None on hardware, where nobody counts.'''
    if not hasattr(libc, "amx_emulator_count"):
        return None
    libc.amx_emulator_count.restype = ctypes.c_ulong
    return libc.amx_emulator_count(name)

def by():
    '''The first word of what show_config says of bfloat16.'''
    return _core.config()["bfloat16"].split()[0]

def is_clean():
    '''Whether no thread has configured tiles now.'''
    return executed() is None or not libc.amx_emulator_threads_configured()

class Stack(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def small_stack():
    '''A thread that has an alternative signal stack of 8 KB, to the end of the process.'''
    memory, ready = ctypes.create_string_buffer(8192), threading.Event()

    def work():
        libc.sigaltstack(ctypes.byref(Stack(ctypes.addressof(memory), 0, 8192)), None)
        ready.set()
        time.sleep(1e6)

    threading.Thread(target=work, daemon=True).start()
    ready.wait()

R = np.random.default_rng(0)
x, y = R.normal(size=(200, 40)).astype("f4"), R.integers(0, 20, 200)

def make(compute="bfloat16", *layers):
    parts = [nn.Linear(40, 64), nn.ReLU(), *layers, nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 20)]
    model = nn.Sequential(*parts, seed=0, compute=compute)
    model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), nn.optim.Adam(lr=1e-2))
    return model

def train(model, epochs=2):
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model

def digest(model):
    '''Of the parameters, and of predictions of one row, a few and many.'''
    parts = [*model.state_dict().values(), model.predict(x[:1]), model.predict(x[:5]), model.predict(x)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()

_core.force_threads(int(os.environ.get("FORCED", 2)))
"""

#: How `nn.show_config` puts it.
TILES, FLOAT = "tiles", "instructions"
UNDISTURBED = "print(digest(train(make())))"


@pytest.fixture(scope="module")
def program(amx):
    """Run code after the prelude and return the words that it printed."""

    def run(code, *arguments, **options):
        return amx.run(PRELUDE + code, *arguments, **options).split()

    run.truth = functools.cache(lambda code: run(code, isa="avx512", FORCED="1", **amx.without()))
    return run


@pytest.fixture
def emulated(amx):
    if not amx.emulated:
        pytest.skip("only the emulator counts instructions")


# Permission ---------------------------------------------------------------------------------------------------------------


def test_permission_is_asked_for_with_the_first_plan_that_needs_it(program):
    code = """
print(_core.isa(), permitted(), _core.config()["bfloat16"])
train(make("float32"))
print(permitted())
make("bfloat16").predict(x)
print(permitted(), _core.config()["bfloat16"])
"""
    lazily = f"amx False {TILES} of AMX, if the system lets this process use them False True {TILES} of AMX"
    assert program(code) == lazily.split()


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_other_instruction_sets_never_ask(program, isa):
    assert program("digest(train(make()))\nprint(permitted(), executed() or 0, by())", isa=isa) == ["False", "0", FLOAT]


def test_products_in_float32_execute_no_tile_instruction(program, emulated):
    assert program('digest(train(make("float32")))\nprint(executed())') == ["0"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_tiles_change_no_bit(program, threads):
    got = program(UNDISTURBED + "\nprint(is_clean(), executed(b'TDPBF16PS'))", FORCED=str(threads))
    assert got[0] == program.truth(UNDISTURBED)[0]
    assert got[1] == "True"
    assert got[2] != "0"


REFUSED = f"small_stack()\n{UNDISTURBED}\nprint(permitted(), executed() or 0, by())"


def test_a_small_signal_stack_in_a_thread_changes_no_bit(program):
    assert program(REFUSED) == [*program.truth(UNDISTURBED), "False", "0", FLOAT]


QUANTIZED = """
model = make("float32").quantize("int8")
print(hashlib.sha256(b"".join(model.predict(x[:n]).tobytes() for n in (1, 5, 200))).hexdigest())
"""


def test_neither_in_8_bit_integers(program):
    (truth,) = program.truth(QUANTIZED)
    assert program(f"small_stack()\n{QUANTIZED}\nprint(permitted(), executed() or 0)") == [truth, "False", "0"]
    assert program(f"{QUANTIZED}\nprint(permitted(), executed(b'TDPBUSD') != 0, is_clean())") == [truth, "True", "True", "True"]


def test_an_old_kernel_changes_no_bit(program, emulated):
    assert program(f"{UNDISTURBED}\nprint(permitted(), executed())", AMX_EMULATOR_REFUSE="22") == [
        *program.truth(UNDISTURBED),
        "False",
        "0",
    ]


def test_a_refusal_is_not_final(program):
    code = """
memory = ctypes.create_string_buffer(8192)
libc.sigaltstack(ctypes.byref(Stack(ctypes.addressof(memory), 0, 8192)), None)
first = train(make())
print(permitted(), by())
libc.sigaltstack(ctypes.byref(Stack(None, 2, 0)), None)  # SS_DISABLE
print(digest(train(make())), permitted(), by(), digest(first))
"""
    (truth,) = program.truth(UNDISTURBED)
    assert program(code) == ["False", FLOAT, truth, "True", TILES, truth]


# What happens around ------------------------------------------------------------------------------------------------------


def test_threads_that_exist_before_the_request(program):
    code = f"""
train(make("float32"))
big = nn.Sequential(nn.Linear(40, 2000), nn.ReLU(), nn.Linear(2000, 2000), seed=0)
for _ in range(50):
    big(x[:1])  # wakes the pool
done = threading.Event()
others = [threading.Thread(target=done.wait) for _ in range(4)]
for other in others:
    other.start()
{UNDISTURBED}
done.set()
print(is_clean())
"""
    assert program(code, FORCED="3") == [*program.truth(UNDISTURBED), "True"]


def test_workers_of_the_pool_have_tiles(program):
    """They take columns of wide layers where calls follow each other quickly; which calls, the clock says."""
    code = """
nn.set_num_threads(2)
_core.force_threads(0)
wide = nn.Sequential(nn.Linear(40, 256), nn.ReLU(), nn.Linear(256, 256), nn.Linear(256, 20), seed=0, compute="bfloat16")
first = wide(x[:4])
print(all(np.array_equal(wide(x[:4]), first) for _ in range(150)), is_clean(), hashlib.sha256(first.tobytes()).hexdigest())
"""
    assert program(code) == program.truth(code)


def test_python_threads_train_side_by_side(program):
    code = """
out = []
threads = [threading.Thread(target=lambda: out.append(digest(train(make())))) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(*out, is_clean())
"""
    assert program(code) == [*program.truth(UNDISTURBED) * 4, "True"]


FORK = """
model = train(make(), 1)
read, write = os.pipe()
child = os.fork()
if not child:
    os.write(write, digest(train(model, 1)).encode())
    os._exit(0)
os.close(write)
mine = digest(train(model, 1))
print(mine, os.read(read, 100).decode(), os.waitpid(child, 0)[1])
"""


def test_a_fork_between_two_epochs(program):
    (truth,) = program.truth("print(digest(train(train(make(), 1), 1)))")
    assert program(FORK) == [truth, truth, "0"]


#: A callback that forks in the middle of an epoch; the child trains on to the end.
FORK_WITHIN = """
class Forks(nn.callbacks.Callback):
    child = 0

    def on_train_batch_end(self, batch, logs=None):
        if self.model.step == 3:
            self.read, self.write = os.pipe()
            self.child = os.fork()

forks = Forks()
model = make()
model.fit(x, y, batch_size=64, epochs=2, verbose=0, callbacks=[forks])
if not forks.child:
    os.write(forks.write, digest(model).encode())
    os._exit(0)
print(digest(model), os.read(forks.read, 100).decode(), os.waitpid(forks.child, 0)[1])
"""


def test_a_fork_in_mid_training(program):
    (truth,) = program.truth(UNDISTURBED)
    assert program(FORK_WITHIN) == [truth, truth, "0"]


SIGNALS = f"""
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
{UNDISTURBED}
while count < 3:
    time.sleep(1e-3)
signal.setitimer(signal.ITIMER_REAL, 0)
print(is_clean())
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_signals_during_training(program, threads):
    assert program(SIGNALS, FORCED=str(threads)) == [*program.truth(UNDISTURBED), "True"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_faulthandler(program, when):
    enable = "faulthandler.enable()\n"
    code = enable + UNDISTURBED if when == "before" else f"make().predict(x)\n{enable}{UNDISTURBED}"
    assert program(code) == program.truth(UNDISTURBED)


#: A layer in Python that uses tiles for something else, in another shape, and leaves them as they are.
OTHER = """
forms = ctypes.CDLL(sys.argv[1]) if len(sys.argv) > 1 else None

def use_tiles():
    if not forms:
        return
    config = np.zeros(64, np.uint8)
    config[0], config[16:22:2], config[48:51] = 1, (8, 8, 8), (2, 2, 2)
    c, a = np.zeros((16, 16), np.int32), np.full(1024, 3, np.uint8)
    forms.configure(ctypes.c_void_p(config.ctypes.data))
    forms.tdpbuud(*(ctypes.c_void_p(v.ctypes.data) for v in (c, a, a)), 0)
    assert c[1, 1] == 2 * 4 * 9
    if leave_released:
        forms.release()

class Half(nn.PythonLayer):
    def forward(self, x):
        use_tiles()
        return x / 2

    def backward(self, dy, x, y):
        use_tiles()
        return dy / 2
"""


@pytest.mark.parametrize("released", [False, True])
def test_a_layer_in_python_may_use_tiles(program, amx, released):
    code = f"leave_released = {released}\n{OTHER}\nprint(digest(train(make('bfloat16', Half()))))"
    assert program(code, amx.build("forms.c")) == program.truth(code)


def test_nothing_is_left_after_any_call(program, emulated):
    code = """
model = make()
calls = (
    lambda: model.train_on_batch(x, y),
    lambda: model.evaluate(x, y, verbose=0),
    lambda: model.predict(x),
    lambda: model(x[:1]),
    lambda: model(x),
    lambda: model.forward(x[:40], training=True),
    lambda: model.backward(np.ones((40, 20), "f4")),
    lambda: model.apply_gradients(),
    lambda: train(model),
)
for call in calls:
    call()
    print(is_clean())
"""
    for threads in ("1", "3"):
        assert program(code, FORCED=threads) == ["True"] * 9
