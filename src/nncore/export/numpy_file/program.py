# What every file has besides its network. `sources` copies from here; nncore itself never runs it. The names in capitals, forward
# and predict are the file's own.
import argparse
import base64
import io
import sys

import numpy as np

INPUTS, OUTPUTS, CASES, TOLERANCE = {}, [], [], 1e-5


def forward(*inputs, lengths=None, states=None): ...


def predict(*inputs, lengths=None): ...


# ------------------------------------------------------------------------------------------------------------------------------


def array(shape, text, dtype):
    """Read an array from the base64 of its little-endian bytes."""
    given = np.dtype(dtype)
    return np.frombuffer(base64.b64decode(text), given.newbyteorder("<")).reshape(shape).astype(given)


def checked(*arrays):
    """Return the inputs as arrays, or raise ValueError if their shapes do not fit."""
    sizes, found = {}, []
    for (name, (shape, dtype)), given in zip(INPUTS.items(), arrays):
        given = np.asarray(given, dtype)
        fits = given.ndim == len(shape) and 0 not in given.shape[1:]
        for want, have in zip(shape, given.shape):
            fits = fits and have == (sizes.setdefault(want, have) if isinstance(want, str) else want)
        if not fits:
            raise ValueError(f"{name} has shape {given.shape}, but {shape} is needed" + (f" with {sizes}" if sizes else ""))
        found.append(given)
    return found


def checked_lengths(lengths, *sequences):
    """Return lengths as an array [N], or raise ValueError if they are not from 1 to the number of time steps."""
    if lengths is None:
        return None
    lengths, steps = np.asarray(lengths), sequences[0].shape[1]
    if any(x.shape[1] != steps for x in sequences):
        raise ValueError(f"with lengths, the sequences need equally many time steps, not {[x.shape[1] for x in sequences]}")
    if lengths.shape != sequences[0].shape[:1] or ((lengths < 1) | (lengths > steps) | (lengths % 1 != 0)).any():
        raise ValueError(f"lengths must be {len(sequences[0])} whole numbers from 1 to {steps}")
    return lengths.astype(np.int64)


class Stream:
    """Takes one time step per call, and keeps the states of sequences that run side by side.

    Each step gives what predict gives for the sequences so far.
    """

    def __init__(self, batch=1):
        self.batch = batch
        self.reset()

    def reset(self):
        """Begin new sequences."""
        self.states = {}

    def step(self, x_t):
        """Return the outputs [batch, ...] after one step [batch, features], or [batch] for indices."""
        ((shape, dtype),) = INPUTS.values()
        x_t = np.asarray(x_t, dtype)
        size = (self.batch, *shape[2:])
        if x_t.shape != size and not (x_t.size == np.prod(size) and x_t.shape in ((*size, 1), size[1:])):
            raise ValueError(f"a step has shape {size}, not {x_t.shape}")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            y = forward(x_t.reshape(size[0], 1, *size[1:]), states=self.states)
        return y[:, 0] if y.ndim > 2 and y.shape[1] == 1 else y


def listed(outputs):
    return [outputs] if isinstance(outputs, np.ndarray) else list(outputs.values()) if isinstance(outputs, dict) else outputs


def difference(got, want):
    """The largest difference of two arrays, relative to the largest number if that is above 1."""
    if got.shape != want.shape:
        return np.inf
    differ = ~((got == want) | (np.isnan(got) & np.isnan(want)))
    return np.abs(got[differ] - want[differ]).max(initial=0.0) / max(1.0, np.abs(want).max(initial=0.0))


def selftest():
    """Return whether the outputs for the inputs at the end of this file are those that nncore computed, and print it."""
    worst = 0.0
    for inputs, options, expected in CASES:
        outputs = listed(predict(*inputs, **options))
        worst = max(worst, *(difference(got, want) for got, want in zip(outputs, expected)))
    passes = bool(worst <= TOLERANCE)  # False for NaN
    print(f"{'ok' if passes else 'FAILED'}: {len(CASES)} cases, the largest difference is {worst:.1e}")
    return passes


def read(path, name):
    """Read an input: .npy, or text with a row of numbers for each sample and perhaps a row of names above them."""
    if path.endswith(".npy"):
        return np.load(path)
    with sys.stdin if path == "-" else open(path) as file:
        rows = file.read().replace(",", " ").strip().splitlines()
    if not rows:
        raise ValueError(f"{path} is empty")
    try:
        [float(number) for number in rows[0].split()]
    except ValueError:
        rows = rows[1:]
    rows = np.array([row.split() for row in rows], float)
    shape = INPUTS[name][0][1:]
    return rows.reshape(len(rows), *(-1 if isinstance(size, str) else size for size in shape))


def write(outputs, is_text, file):
    """Write the outputs: as .npy, as .npz if there are several, or as text with a row of numbers for each sample."""
    if is_text:
        rows = np.concatenate([y.reshape(len(y), -1) for y in outputs], axis=1)
        np.savetxt(file, rows, delimiter=",", fmt="%.9g" if rows.dtype == np.float32 else "%.17g")
        return
    written = io.BytesIO()
    if len(outputs) == 1:
        np.save(written, outputs[0])
    else:
        np.savez(written, **{name if name != "file" else "file_": y for name, y in zip(OUTPUTS, outputs)})
    file.write(written.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", help="a file for each input: .npy, or numbers as text (- is the standard input)")
    parser.add_argument("--lengths", help="a file with the valid time steps of each sequence")
    parser.add_argument("--selftest", action="store_true", help="check outputs that are known, and print ok")
    given = parser.parse_args()
    if given.selftest:
        sys.exit(0 if selftest() else 1)
    if len(given.inputs) != len(INPUTS):
        parser.error(f"the inputs are {', '.join(INPUTS)}")
    options = {}
    if given.lengths:
        options["lengths"] = np.load(given.lengths) if given.lengths.endswith(".npy") else np.loadtxt(given.lengths, ndmin=1)
    try:
        outputs = predict(*(read(path, name) for path, name in zip(given.inputs, INPUTS)), **options)
    except (EOFError, OSError, TypeError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    is_text = not given.inputs[0].endswith(".npy") or sys.stdout.isatty()
    write(listed(outputs), is_text, sys.stdout.buffer)
