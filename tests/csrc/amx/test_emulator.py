"""The emulator of AMX: forms of addresses, zeroing, and the rules for permission, threads and processes.

On a CPU with AMX the same tests run on the hardware, apart from those about the emulator itself.
"""

import pytest

# Operands -----------------------------------------------------------------------------------------------------------------


def test_every_form_of_address_configures(program):
    code = """
    configs = np.stack([configuration([(1 + form, 4 + 4 * form)] * 8) for form in range(10)])
    out = np.full((10, 64), 255, np.uint8)
    forms.configuration_forms(at(configs), at(out))
    print(np.array_equal(out, configs))
    """
    assert program(code) == ["True"]


@pytest.mark.parametrize(
    ("rows", "colsb", "stride"), [(16, 64, 64), (16, 64, 72), (3, 20, 128), (1, 4, 8), (16, 64, -64), (7, 64, 4096)]
)
def test_every_form_of_address_loads_and_stores(program, rows, colsb, stride):
    code = f"""
    permit()
    rows, colsb, stride = {rows}, {colsb}, {stride}
    forms.configure(at(configuration([(rows, colsb)] * 8)))
    span = 16 * abs(stride) + 64
    first = 15 * abs(stride) if stride < 0 else 0
    x = np.random.default_rng(0).integers(1, 255, span, dtype=np.uint8)
    out = np.zeros((8, span), np.uint8)
    c = ctypes
    forms.load_forms(c.c_void_p(x.ctypes.data + first), c.c_void_p(out.ctypes.data + first), c.c_ssize_t(stride), c.c_size_t(span))
    for form in range(8):
        wanted = np.zeros(span, np.uint8)
        for m in range(rows):
            place = first + m * stride
            wanted[place : place + colsb] = 0 if form == 7 else x[first : first + colsb] if form == 6 else x[place : place + colsb]
        print(np.array_equal(out[form], wanted))
    """
    assert program(code) == ["True"] * 8


def test_what_is_beyond_the_configuration_is_zero(program):
    code = """
    permit()
    forms.configure(at(configuration([(2, 8), (2, 8), (2, 8)])))
    forms.configure(at(FULL))  # zeroes, and so does a narrow load of what a wide store then shows
    print(product()[0, 0] != 0)
    forms.configure(at(configuration([(5, 12), (5, 8), (2, 12)])))
    c = np.full((16, 16), 1, np.int32)
    forms.tdpbuud(at(c), at(A), at(A), 0)
    inside = np.zeros((16, 16), bool)
    inside[:5, :3] = True
    print((c[~inside] == 1).all(), (c[inside] != 1).all())
    """
    assert program(code) == ["True", "True", "True"]


# Rules --------------------------------------------------------------------------------------------------------------------


def test_without_permission_data_are_refused(program):
    code = """
    forms.configure(at(FULL))
    print("configured", file=sys.stderr, flush=True)
    forms.zero_tile_0()
    """
    status, said = program(code, fails=True)
    assert status == -4  # SIGILL
    assert "configured" in said


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("forms.zero_tile_0()", "TILEZERO: tiles are not configured (#UD)"),
        ("forms.configure(at(FULL)); forms.release(); forms.zero_tile_0()", "TILEZERO: tiles are not configured (#UD)"),
        ("forms.configure(at(configuration([(0, 0), (1, 4)]))); forms.zero_tile_0()", "TILEZERO: the tile is not configured (#UD)"),
        ("forms.configure(at(FULL)); forms.same_tile_twice()", "TDPBSSD: two operands are the same tile (#UD)"),
        (
            "forms.configure(at(configuration([(3, 64), (4, 64), (16, 64)]))); product()",
            "has not the rows of the left operand",
        ),
        ("forms.configure(at(configuration([(3, 64), (3, 64), (16, 60)]))); product()", "has not the columns of the right operand"),
        (
            "forms.configure(at(configuration([(3, 64), (3, 60), (16, 64)]))); product()",
            "columns are not the right one's rows",
        ),
        ("forms.configure(at(configuration([(17, 64)])))", "LDTILECFG: more than 16 rows of 64 bytes (#GP)"),
        ("forms.configure(at(configuration([(16, 65)])))", "LDTILECFG: more than 16 rows of 64 bytes (#GP)"),
        ("forms.configure(at(configuration([(16, 0)])))", "LDTILECFG: rows without columns, or columns without rows (#GP)"),
        ("forms.configure(at(configuration([(1, 4)] * 9)))", "LDTILECFG: a configuration for a tile that does not exist (#GP)"),
        ("FULL[0] = 2; forms.configure(at(FULL))", "LDTILECFG: an unknown palette (#GP)"),
        ("FULL[7] = 2; forms.configure(at(FULL))", "LDTILECFG: reserved bytes are not zero (#GP)"),
    ],
)
def test_invalid_uses_end_the_process(program, emulated, code, message):
    status, said = program(f"permit()\n{code}\nprint('went on')", fails=True)
    assert status == -6  # SIGABRT
    assert message in said


def test_every_thread_has_tiles_of_its_own(program):
    code = """
    permit()
    forms.configure(at(FULL))
    here, there = np.zeros(64, np.uint8), np.zeros(64, np.uint8)
    results = []

    def work():
        forms.read_configuration(at(there))
        forms.configure(at(FULL))
        results.append(product())
        forms.release()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    forms.read_configuration(at(here))
    print(there.any(), np.array_equal(here, FULL), np.array_equal(product(), results[0]))
    """
    assert program(code) == ["False", "True", "True"]


def test_a_forked_child_has_permission_and_configuration(program):
    code = """
    permit()
    forms.configure(at(FULL))
    expected = product()
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    now = np.zeros(64, np.uint8)
    forms.read_configuration(at(now))
    os._exit(not (np.array_equal(now, FULL) and np.array_equal(product(), expected)))
    """
    program(code)


SMALL_STACK = """
    class Stack(ctypes.Structure):
        _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

    memory = ctypes.create_string_buffer(8192)

    def small_stack():
        return libc.sigaltstack(ctypes.byref(Stack(ctypes.addressof(memory), 0, 8192)), None)
"""


def test_a_small_signal_stack_refuses_permission(program):
    code = """
    begin, end, out = threading.Event(), threading.Event(), []

    def work():
        out.append(small_stack())
        begin.set()
        end.wait()
        libc.sigaltstack(ctypes.byref(Stack(None, 2, 0)), None)  # SS_DISABLE

    thread = threading.Thread(target=work)
    thread.start()
    begin.wait()
    print(out[0], permit())
    end.set()
    thread.join()
    print(permit(), small_stack())
    """
    assert program(SMALL_STACK + code) == ["0", "28", "0", "-1"]


def test_blocked_signals_do_not_matter(program):
    code = """
    permit()
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
    forms.configure(at(FULL))
    print(product().any())
    """
    assert program(code) == ["True"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_faulthandler_gets_what_is_no_tile_instruction(program, when):
    enable = "import faulthandler; faulthandler.enable()\n"
    use = "permit(); forms.configure(at(FULL)); print(product().any(), file=sys.stderr, flush=True)\n"
    code = {"before": enable + use, "after": use + enable + use}[when] + "forms.invalid_instruction()"
    status, said = program(code, fails=True)
    assert status == -4
    assert "True" in said
    assert "Fatal Python error: Illegal instruction" in said


def test_python_may_send_and_handle_the_signal(program):
    code = """
    got = []
    permit()
    signal.signal(signal.SIGILL, lambda *a: got.append(a[0]))
    forms.configure(at(FULL))
    product()
    os.kill(os.getpid(), signal.SIGILL)
    print(got == [signal.SIGILL], product().any())
    """
    assert program(code) == ["True", "True"]


def test_instructions_and_threads_are_counted(program, emulated):
    code = """
    libc.amx_emulator_count.restype = ctypes.c_ulong
    count = libc.amx_emulator_count
    permit()
    print(count(None), libc.amx_emulator_is_configured(), libc.amx_emulator_threads_configured())
    forms.configure(at(FULL))
    product()
    print(count(None), count(b"TILELOADD"), libc.amx_emulator_is_configured(), libc.amx_emulator_threads_configured())
    forms.release()
    print(count(b"TILERELEASE"), libc.amx_emulator_threads_configured())
    libc.amx_emulator_refuse(22)
    print(permit())
    """
    assert program(code) == ["0", "0", "0", "6", "3", "1", "1", "1", "0", "22"]


def test_a_refusal_may_come_from_the_environment(program, emulated):
    assert program("print(permit())", AMX_EMULATOR_REFUSE="22") == ["22"]


def test_without_the_emulator_instructions_are_invalid(amx, emulated):
    done = amx.start("import ctypes, sys; ctypes.CDLL(sys.argv[1]).release()", amx.build("forms.c"), isa="", **amx.without())
    assert done.returncode == -4
