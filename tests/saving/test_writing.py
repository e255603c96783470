"""Writing is atomic: a kill at any moment, or an error, leaves the old file or the new one."""

import os
import signal
import socket
import stat
import time

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, FileKindError
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


@posix
def test_an_error_leaves_the_old_file(tmp_path):
    import resource

    path = tmp_path / "model"
    model_of(1.0).save(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            model_of(2.0).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert number_of(path) == 1.0
    assert os.listdir(tmp_path) == ["model"]


def test_what_is_no_buffer_leaves_the_old_file(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError):
        atomic.write(tmp_path / "file", [b"half", None])
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


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


@posix
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o000, 0o666, 0o4755, 0o2770])
def test_the_mode_stays(mode, tmp_path):
    """But for the bits that let a program run as its owner: a write clears them, too. Nobody else may read it meanwhile."""
    path = tmp_path / "file"
    path.write_bytes(b"1")
    path.chmod(mode)
    atomic.write(path, [b"2"])
    assert stat.S_IMODE(path.stat().st_mode) == mode & 0o777


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    atomic.write(path, [b"2"])
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 2345, 0o640)


@posix
def test_other_names_keep_the_old_content(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"1")
    other.hardlink_to(path)
    atomic.write(path, [b"2"])
    assert (path.read_bytes(), other.read_bytes()) == (b"2", b"1")


@posix
def test_what_is_no_file(tmp_path):
    """It says what the path names, and leaves it as it was."""
    model = model_of(1.0)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "pool")
    (tmp_path / "pool").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket"))
        for name, kind, message in [
            ("pipe", FileKindError, "is a pipe; a regular file is needed"),
            ("socket", FileKindError, "is a socket"),
            ("/dev/null", FileKindError, "is a character device"),
            ("loop", OSError, "is a loop of symbolic links"),
            ("folder", IsADirectoryError, "is a folder"),
            ("folder/", IsADirectoryError, "is a folder"),
            (".", IsADirectoryError, "is a folder"),
            ("model/", IsADirectoryError, "is a folder"),
        ]:
            before = sorted(os.listdir(tmp_path))
            with pytest.raises(kind, match=message) as caught:
                model.save(os.path.join(tmp_path, name))
            assert isinstance(caught.value, OSError)
            assert caught.value.filename == os.path.join(tmp_path, name)
            assert sorted(os.listdir(tmp_path)) == before
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("path", [None, 3, 1.5, ["x"], object()])
def test_what_is_no_path(path):
    with pytest.raises(ArgumentError, match="save: path must be a string"):
        model_of(1.0).save(path)


def test_empty_and_broken_paths(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_of(1.0).save("")
    with pytest.raises(ArgumentError, match="zero byte"):
        model_of(1.0).save(f"{tmp_path}/a\0b")
    with pytest.raises(OSError, match="File name too long"):
        model_of(1.0).save(tmp_path / ("n" * 256))
    assert os.listdir(tmp_path) == []


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_of(1.0).save(tmp_path / "none" / "model")


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model", b"bytes", "n" * 250, "ü"):
        model_of(3.0).save(name)
        assert number_of(name) == 3.0
