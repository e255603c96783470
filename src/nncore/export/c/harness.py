"""The main with which verify_c runs a file: it reads inputs from one file and writes outputs to another one.

Numbers in the files are little-endian, so that programs of cross-compilers read them, too.
"""

from __future__ import annotations

from math import prod

from ...records import Shape

_FRAME = """\
#include "PATH"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void swap(void *numbers, size_t size, size_t count)
{
    const int one = 1;
    unsigned char *at = (unsigned char *)numbers;
    if (*(const char *)&one) {
        return; /* as in the files */
    }
    for (; count > 0; count--, at += size) {
        for (size_t i = 0; i < size / 2; i++) {
            const unsigned char byte = at[i];
            at[i] = at[size - 1 - i];
            at[size - 1 - i] = byte;
        }
    }
}

static int get(FILE *file, void *numbers, size_t size, size_t count)
{
    const size_t read = fread(numbers, size, count, file);
    swap(numbers, size, read);
    return read == count;
}

static int put(FILE *file, void *numbers, size_t size, size_t count)
{
    swap(numbers, size, count);
    return fwrite(numbers, size, count, file) == count;
}

static void *room(size_t size, size_t count)
{
    static void *volatile kept[256]; /* so that a sanitizer finds no leaks */
    static unsigned char n;
    void *const found = kept[n++] = calloc(count ? count : 1, size);
    if (!found) {
        puts("no memory");
        exit(1);
    }
    return found;
}

WORK
PREDICT
STREAM
int main(int count, char **words)
{
    FILE *const in = count == 4 ? fopen(words[2], "rb") : NULL, *const out = in ? fopen(words[3], "wb") : NULL;
    int failed = 1;
    if (out) {
        failed = RUNSpredict(in, out);
        failed |= fclose(out);
    }
    if (failed) {
        puts("reading or writing failed, or predict_batch gives other results than predict");
    }
    return failed;
}
"""
_PREDICT = """\
static int predict(FILE *in, FILE *out)
{
    int n, failed = 0;
    if (!get(in, &n, sizeof n, 1)) {
        return 1;
    }
    const size_t rows = (size_t)n;
DECLARED
    for (size_t i = 0; i < rows; i++) {
READ
        NAME_predict(ONE);
    }
    NAME_predict_batch(ALL);
    for (size_t i = 0; i < rows; i++) {
WRITE
    }
    return failed;
}
"""
_STEPS = """\
static int steps(FILE *in, FILE *out)
{
    int n, valid, failed = 0;
    if (!get(in, &n, sizeof n, 1)) {
        return 1;
    }
    const size_t rows = (size_t)n;
DECLARED
    for (size_t i = 0; i < rows; i++) {
        failed |= !get(in, &valid, sizeof valid, 1);
READ
        NAME_predict_steps(ONE);
WRITE
    }
    return failed;
}
"""
_STREAM = """\
static int stream(FILE *in, FILE *out)
{
    static NAME_state state;
    static GIVEN x[INPUTS];
    static TYPE y[OUTPUTS];
    int n, failed = 0;
    int steps[64];
    if (!get(in, &n, sizeof n, 1) || n > 64 || !get(in, steps, sizeof *steps, (size_t)n)) {
        return 1;
    }
    for (int i = 0; i < n; i++) {
        NAME_reset(&state);
        for (int t = 0; t < steps[i]; t++) {
            failed |= !get(in, x, sizeof *x, INPUTS);
            NAME_step(&state, x, y WORKSPACE);
            failed |= !put(out, y, sizeof *y, OUTPUTS);
        }
    }
    return failed;
}
"""

Arguments = list[tuple[str, str, Shape]]  #: type, name, shape


def written(
    path: str,
    name: str,
    ctype: str,
    inputs: Arguments,
    outputs: Arguments,
    workspace: str,
    sizes: tuple[int, int] | None,
    of_steps: tuple[Arguments, Arguments] | None,
) -> str:
    """Return the text.

    Parameters
    ----------
    path : str
        The C file, which is included.
    name, ctype : str
        The prefix of its names, and the type in which it computes.
    inputs, outputs : list
        The arguments of ``NAME_predict``.
    workspace : str
        The macro with the size of the workspace that the functions take, or "".
    sizes : (int, int) or None
        The numbers of an input and an output of ``NAME_step``, if there is one.
    of_steps : (inputs, outputs) or None
        The largest arguments of ``NAME_predict_steps``, if there is one.
    """
    runs = '!strcmp(words[1], "stream") ? stream(in, out) : ' if sizes else ""
    runs += '!strcmp(words[1], "steps") ? steps(in, out) : ' if of_steps else ""
    shorter = _steps(name, *of_steps, workspace) if of_steps else ""
    text = _FRAME.replace("PREDICT\n", _predict(name, inputs, outputs, workspace) + shorter)
    text = text.replace("STREAM\n", _stream(name, ctype, inputs, sizes, workspace) if sizes else "")
    text = text.replace("WORK\n", f"static {ctype} work[{workspace}];\n\n" if workspace else "").replace("RUNS", runs)
    return text.replace("PATH", path.replace("\\", "\\\\").replace('"', '\\"'))


def _predict(name: str, inputs: Arguments, outputs: Arguments, workspace: str) -> str:
    declared, read, write, one, every = [], [], [], [], []
    for i, (ctype, _, shape) in enumerate(inputs):
        size = prod(shape)
        declared.append(f"{ctype} *const x{i} = ({ctype} *)room(sizeof *x{i}, rows * {size}u);")
        read.append(f"failed |= !get(in, x{i} + i * {size}u, sizeof *x{i}, {size}u);")
        one.append(f"x{i} + i * {size}u")
        every.append(f"x{i}")
    every.append("n")
    for i, (ctype, _, shape) in enumerate(outputs):
        size = prod(shape)
        declared += [f"{ctype} *const {kind}{i} = ({ctype} *)room(sizeof *{kind}{i}, rows * {size}u);" for kind in "yz"]
        write.append(f"failed |= memcmp(y{i} + i * {size}u, z{i} + i * {size}u, {size}u * sizeof *y{i}) != 0;")
        write.append(f"failed |= !put(out, y{i} + i * {size}u, sizeof *y{i}, {size}u);")
        one.append(f"y{i} + i * {size}u")
        every.append(f"z{i}")
    work = ["work"] if workspace else []
    text = _PREDICT.replace("DECLARED", _lines(declared, 1)).replace("READ", _lines(read, 2)).replace("WRITE", _lines(write, 2))
    return text.replace("ONE", ", ".join([*one, *work])).replace("ALL", ", ".join([*every, *work])).replace("NAME", name) + "\n"


def _steps(name: str, inputs: Arguments, outputs: Arguments, workspace: str) -> str:
    of = [
        (kind, i, ctype, prod(shape)) for kind, each in (("x", inputs), ("y", outputs)) for i, (ctype, _, shape) in enumerate(each)
    ]
    declared = [f"{ctype} *const {kind}{i} = ({ctype} *)room(sizeof *{kind}{i}, rows * {n}u);" for kind, i, ctype, n in of]
    moves = {
        k: [f"failed |= !{call}({to}, {k}{i} + i * {n}u, sizeof *{k}{i}, {n}u);" for kind, i, _, n in of if kind == k]
        for k, call, to in (("x", "get", "in"), ("y", "put", "out"))
    }
    given = [f"{kind}{i} + i * {n}u" for kind, i, _, n in of]
    given.insert(len(inputs), "valid")
    text = _STEPS.replace("DECLARED", _lines(declared, 1)).replace("READ", _lines(moves["x"], 2))
    text = text.replace("WRITE", _lines(moves["y"], 2)).replace("ONE", ", ".join([*given, *(["work"] if workspace else [])]))
    return text.replace("NAME", name) + "\n"


def _stream(name: str, ctype: str, inputs: Arguments, sizes: tuple[int, int], workspace: str) -> str:
    text = _STREAM.replace("WORKSPACE", ", work" if workspace else "").replace(" ,", ",").replace("y )", "y)")
    text = text.replace("GIVEN", inputs[0][0]).replace("TYPE", ctype).replace("NAME", name)
    return text.replace("INPUTS", str(sizes[0])).replace("OUTPUTS", str(sizes[1])) + "\n"


def _lines(statements: list[str], depth: int) -> str:
    return "\n".join("    " * depth + each for each in statements)
