"""Files of other formats: names that promise them, which ``save`` refuses, and contents that look like them, for messages."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import ArgumentError

_KERAS = "the format of Keras; Keras cannot read what nncore writes"
_TORCH = "the format of PyTorch; for PyTorch, save model.state_dict() with torch.save"
_PICKLE = "a pickle; use pickle.dump(model, file) for one"
_NUMPY = "the format of NumPy; use np.savez(path, **model.state_dict()) for it"
_ONNX = "ONNX, which cannot hold this; model.to_onnx(path) and model.save(path) write a model for inference"

#: Ending of a name -> what it promises, and what to do instead.
PROMISES = {
    ".keras": _KERAS,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".onnx": _ONNX,
    ".tflite": "TensorFlow Lite, which nncore does not write; model.to_c(path) writes C for microcontrollers",
    ".c": "C, in which nothing can be trained; model.to_c(path) writes a model for inference",
    ".pb": "TensorFlow's format, which nncore does not write",
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".joblib": "the format of joblib; use joblib.dump(model, path) for it",
    ".npz": _NUMPY,
    ".npy": _NUMPY,
    ".py": "a Python program; model.to_numpy(path) writes one for inference",
    ".json": "JSON, which cannot hold the weights",
}

#: Endings of files in the safetensors format, and what else `save` writes.
_OWN = (".safetensors", ".nncore", ".ckpt")
ONNX = ".onnx"

_BY_TENSORS = "load it there, and pass its arrays to model.load_state_dict"

#: First bytes of a file -> what it is.
SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes; model.load_keras_weights(path) reads the weights of such a file"),
    (b"PK\x03\x04", f"a zip archive, such as PyTorch, Keras and NumPy write; {_BY_TENSORS}, or use model.load_keras_weights(path)"),
    (b"\x93NUMPY", f"an array of NumPy; {_BY_TENSORS}"),
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"\x80\x02\x8a\nl\xfc\x9c", f"a file of torch.save; {_BY_TENSORS}"),
    (b"\x80\x02", "a pickle; if it is a model of nncore, read it with pickle.load"),
    (b"\x80\x03", "a pickle; if it is a model of nncore, read it with pickle.load"),
    (b"\x80\x04", "a pickle; if it is a model of nncore, read it with pickle.load"),
    (b"\x80\x05", "a pickle; if it is a model of nncore, read it with pickle.load"),
    (b"GGUF", "a GGUF file, which nncore does not read"),
)


def check_name(owner: str, path: Any, argument: str = "path") -> None:
    """Raise ArgumentError if the name of a file promises another format than safetensors, or one that is not known.

    Examples
    --------
    >>> check_name("save", "best.safetensors")
    >>> check_name("save", "best.json")
    Traceback (most recent call last):
        ...
    nncore.errors.ArgumentError: save: path 'best.json' promises JSON, which cannot hold the weights. Name it 'best.safetensors'
    >>> check_name("save", "best.xyz")
    Traceback (most recent call last):
        ...
    nncore.errors.ArgumentError: save: path 'best.xyz' ends in '.xyz', which is no known format; known are .safetensors and .onnx
    """
    name = _name_of(path)
    if name is None:
        return
    stem, ending = os.path.splitext(name)
    if said := PROMISES.get(ending.lower()):
        kept = stem.removesuffix(".weights")
        kept += "" if os.path.basename(kept) else "model"
        raise ArgumentError(f"{owner}: {argument} {name!r} promises {said}. Name it {kept + '.safetensors'!r}")
    if ending.lower() not in _OWN and re.fullmatch(r"\.[A-Za-z]\w*", ending):  # no ending of a number, as in "model.v1.2"
        known = "known are .safetensors and .onnx" if owner == "save" else "known is .safetensors"
        raise ArgumentError(f"{owner}: {argument} {name!r} ends in {ending!r}, which is no known format; {known}")


def check_export(owner: str, path: Any, *own: str) -> None:
    """Raise ArgumentError if the name of an exporter's file promises a format other than its own.

    Examples
    --------
    >>> check_export("to_c", "net.c", ".c")
    >>> check_export("to_c", "net.json", ".c")
    Traceback (most recent call last):
        ...
    nncore.errors.ArgumentError: to_c: path 'net.json' promises JSON, which cannot hold the weights. Name it 'net.c'
    """
    stem, ending = os.path.splitext(_name_of(path) or "")
    said = PROMISES.get(ending.lower()) or ("the format of model.save" if ending.lower() == _OWN[0] else None)
    if said and ending.lower() not in own:
        raise ArgumentError(f"{owner}: path {stem + ending!r} promises {said}. Name it {stem + own[0]!r}")


def is_onnx(path: Any) -> bool:
    """Return whether the name of a file promises ONNX."""
    name = _name_of(path)
    return name is not None and os.path.splitext(name)[1].lower() == ONNX


def _name_of(path: Any) -> str | None:
    """Return a path as text, or None for what others refuse."""
    given = type(path).__fspath__(path) if hasattr(type(path), "__fspath__") else path
    return os.fsdecode(given) if isinstance(given, str | bytes) else None


def looks_like(head: bytes) -> str:
    """Return what a file is, to judge by its first bytes, or "" if that is not known.

    Examples
    --------
    >>> looks_like(b"GGUF and more")
    'a GGUF file, which nncore does not read'
    """
    for signature, said in SIGNATURES:
        if head.startswith(signature):
            return said
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite file, which nncore does not read"
    if len(head) > 8 and head[0] == 0x08 and head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x2A, 0x3A, 0x42):
        return "an ONNX file; read it with nn.from_onnx"  # fields 1 and 2, 3, ... of its ModelProto
    if head.lstrip()[:1] in (b"{", b"[", b"<"):
        return "a text file, such as JSON"
    return ""
