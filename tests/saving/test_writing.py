"""Writing is atomic: a kill at any moment, or an error, leaves the old file or the new one."""

import os
import signal
import stat
import sys
import time

import numpy as np
import pytest

import nncore as nn
from nncore.saving import atomic

TIMES = int(os.environ.get("NNCORE_KILLS", "30"))  #: how often a writer is killed

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")


def model_of(number):
    """A model that is recognised wherever one looks into it."""
    model = nn.Sequential(nn.Linear(100, 200), nn.Linear(200, 100))
    model.set_weights([np.full_like(w, number) for w in model.get_weights()])
    return model


def number_of(path):
    """The one number of the file; an error where it is of two minds."""
    (number,) = set(np.concatenate([w.ravel() for w in nn.load(path).get_weights()]).tolist())
    return number


def kill_while(write, path, seconds):
    """Let a child write again and again, and kill it after so many seconds."""
    child = os.fork()
    if not child:
        try:
            while True:
                write(path)
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def writer():
    models = [model_of(1.0), model_of(2.0)]

    def write(path):
        for model in models:
            model.save(path)

    return write


def kill_often(times, tmp_path, rng):
    path, write = tmp_path / "model.safetensors", writer()
    write(path)
    found = set()
    for _ in range(times):
        kill_while(write, path, rng.uniform(0.0, 0.02))
        found.add(number_of(path))
    assert found <= {1.0, 2.0}
    return len([name for name in os.listdir(tmp_path) if name.endswith(".tmp")])


@posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_kill_while_writing(tmp_path, rng):
    for _ in range(10):  # how much of its time a writer writes is up to the disk
        in_the_middle = kill_often(TIMES, tmp_path, rng)
        if in_the_middle:
            break
    assert in_the_middle, "every kill came between two files; nothing was tested"


@posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_that_the_kill_finds_a_plain_writer_out(tmp_path, rng, monkeypatch):
    """What test_kill_while_writing would see if files were simply overwritten."""

    def overwrite(path, chunks):
        with open(path, "wb", buffering=0) as file:
            for chunk in chunks:
                file.write(chunk)

    monkeypatch.setattr(atomic, "write", overwrite)
    path, write = tmp_path / "model.safetensors", writer()
    for _ in range(300):
        kill_while(write, path, rng.uniform(0.001, 0.02))
        try:
            number_of(path)
        except (ValueError, OSError):
            return
    pytest.fail("300 kills left whole files")


def test_an_error_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model"
    model_of(1.0).save(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, full)
            with pytest.raises(OSError, match="No space"):
                model_of(2.0).save(path)
        assert number_of(path) == 1.0
        assert os.listdir(tmp_path) == ["model"]


def test_an_interrupt_leaves_the_old_file(tmp_path):
    def chunks():
        yield b"half"
        raise KeyboardInterrupt

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        atomic.write(tmp_path / "file", chunks())
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_order_of_what_goes_to_disk(tmp_path, monkeypatch):
    """The content is forced to disk before the rename, the folder after it."""
    done = []
    kinds = {True: "folder", False: "file"}
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(kinds[stat.S_ISDIR(os.fstat(fd).st_mode)]), sync(fd)))
    monkeypatch.setattr(os, "replace", lambda *args: (done.append("rename"), replace(*args)))
    atomic.write(tmp_path / "file", [b"x"])
    assert done == (["file", "rename", "folder"] if sys.platform != "win32" else ["file", "rename"])


@posix
def test_permissions_and_links(tmp_path):
    path, link = tmp_path / "real", tmp_path / "link"
    before = os.umask(0o027)
    try:
        atomic.write(path, [b"1"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    link.symlink_to(path)
    atomic.write(link, [b"2"])
    assert link.is_symlink()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"2", 0o604)


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_of(1.0).save(tmp_path / "none" / "model")


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model", b"bytes", "n" * 250, "ü"):
        model_of(3.0).save(name)
        assert number_of(name) == 3.0
