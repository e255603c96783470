# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False, binding=False, embedsignature=True, embedsignature.format=clinic
"""Writing and reading files as uninterruptible operations, and the size of JSON. This module does not need the core.

An interrupt may occur between any two instructions of Python, also within `except` and `finally`. A file that Python opens may then stay
open, and a temporary file may remain. Here no Python code runs between an open and its close.
"""

from ..errors import FileKindError

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.ref cimport PyObject
from libc.errno cimport EINTR, EINVAL, EIO, EISDIR, ELOOP, ENOENT, ENOSYS, EPERM, errno
from libc.stdint cimport int64_t

cdef extern from "Python.h":
    ctypedef struct Py_buffer:
        void *buf
        Py_ssize_t len
    int PyBUF_SIMPLE, PyBUF_WRITABLE
    int get_buffer "PyObject_GetBuffer" (object, Py_buffer *, int) except -1
    int try_buffer "PyObject_GetBuffer" (PyObject *, Py_buffer *, int) noexcept
    void PyBuffer_Release(Py_buffer *) noexcept
    int has_interrupt "PyErr_CheckSignals" () noexcept  # leaves the exception set

cdef extern from *:
    """
    #include <errno.h>
    static PyObject *nncore_os_error(int number, PyObject *path) {
      errno = number;
      return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    """
    object raise_os_error "nncore_os_error" (int, object)  # raises the subclass of OSError for the number, as open() does

cdef extern from "<errno.h>" nogil:
    int ENOTSUP

cdef extern from "<fcntl.h>" nogil:
    int open_file "open" (const char *, int, ...)
    int O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_NOCTTY

cdef extern from "<sys/stat.h>" nogil:
    ctypedef unsigned int mode_t
    ctypedef unsigned int uid_t
    ctypedef unsigned int gid_t
    cdef struct file_status "stat":
        mode_t st_mode
        uid_t st_uid
        gid_t st_gid
        int64_t st_size
    int lstat(const char *, file_status *)
    int stat_file "stat" (const char *, file_status *)
    int fstat(int, file_status *)
    int fchmod(int, mode_t)
    bint S_ISREG(mode_t)
    bint S_ISDIR(mode_t)
    bint S_ISLNK(mode_t)
    bint S_ISFIFO(mode_t)
    bint S_ISSOCK(mode_t)
    bint S_ISCHR(mode_t)

cdef extern from "<unistd.h>" nogil:
    ssize_t write_bytes "write" (int, const void *, size_t)
    ssize_t read_bytes "read" (int, void *, size_t)
    int64_t lseek(int, int64_t, int)
    int fsync(int)
    int fchown(int, uid_t, gid_t)
    int close_file "close" (int)
    int unlink(const char *)
    int SEEK_SET

cdef extern from "<stdio.h>" nogil:
    int rename(const char *, const char *)

cdef enum:
    STRIDE = 4 << 20  # bytes between two checks for signals
    INTERRUPTED = -1  # in place of an errno: an exception is set


cdef int look_at_signals() noexcept nogil:
    with gil:
        return INTERRUPTED if has_interrupt() else 0


cdef int open_at(const char *at, int flags, mode_t mode, int *fd) noexcept nogil:
    """Open a file; return 0, an errno or INTERRUPTED."""
    cdef int failed
    while True:
        fd[0] = open_file(at, flags | O_CLOEXEC, mode)
        if fd[0] >= 0:
            return 0
        if errno != EINTR:
            return errno
        failed = look_at_signals()
        if failed:
            return failed


cdef int write_all(int fd, const char *at, size_t left) noexcept nogil:
    """Write this number of bytes. Return 0, an errno or INTERRUPTED."""
    cdef ssize_t n
    cdef int failed
    while left:
        n = write_bytes(fd, at, left if left < STRIDE else STRIDE)
        if n < 0 and errno != EINTR:
            return errno
        if n == 0:
            return EIO
        if n > 0:
            at += n
            left -= <size_t>n
        failed = look_at_signals()
        if failed:
            return failed
    return 0


cdef int give_owner_and_mode(int fd, const file_status *old) noexcept nogil:
    """Give a new file the owner, group and permissions of the old one, but no more permissions. Return 0 or an errno. As with a
    write to the old file, the set-user-ID and set-group-ID bits are cleared."""
    cdef mode_t mode = old.st_mode & 0o777
    cdef file_status new
    if fstat(fd, &new):
        return errno
    if (new.st_uid != old.st_uid or new.st_gid != old.st_gid) and fchown(fd, old.st_uid, old.st_gid):
        if new.st_gid != old.st_gid and fchown(fd, <uid_t>-1, old.st_gid):
            mode &= ~<mode_t>0o070 | (mode & 0o007) << 3  # the group differs: limit it to the permissions of others
    if fchmod(fd, mode) and errno != EPERM and errno != ENOTSUP and errno != ENOSYS:  # file systems without modes
        return errno
    return 0


cdef int sync_file(int fd) noexcept nogil:
    cdef int failed
    while fsync(fd):
        if errno != EINTR:
            return errno
        failed = look_at_signals()
        if failed:
            return failed
    return 0


cdef int sync_folder(int fd) noexcept nogil:
    """Synchronize the folder after the rename. Interrupts are deferred."""
    while fsync(fd):
        if errno == EINVAL or errno == ENOTSUP:  # file systems that do not support this
            return 0
        if errno != EINTR:
            return errno
    return 0


cdef int write_pieces(int fd, tuple pieces) noexcept:
    cdef Py_buffer view
    cdef int failed = 0
    cdef Py_ssize_t i
    for i in range(len(pieces)):
        if try_buffer(<PyObject *>pieces[i], &view, PyBUF_SIMPLE):
            return INTERRUPTED
        with nogil:
            failed = write_all(fd, <const char *>view.buf, <size_t>view.len)
        PyBuffer_Release(&view)
        if failed:
            return failed
    return 0


cdef object refuse_kind(mode_t mode, path):
    """Raise an error for anything except a regular file. Return None for a regular file."""
    if S_ISREG(mode):
        return None
    if S_ISDIR(mode):
        raise IsADirectoryError(EISDIR, "is a folder; a file is needed", path)
    if S_ISLNK(mode):
        raise OSError(ELOOP, "is a loop of symbolic links", path)
    kind = "a pipe" if S_ISFIFO(mode) else "a socket" if S_ISSOCK(mode) else "a character device" if S_ISCHR(mode) else "a block device"
    raise FileKindError(EINVAL, f"is {kind}; a regular file is needed", path)


def write_file(bytes target, bytes temporary, bytes folder, tuple pieces, path):
    """Replace a file by these buffers, one after another. They are written to `temporary`, which is synchronized to disk and
    renamed. Then the folder is synchronized. After an error or interrupt before the rename, the old file exists and nothing else.

    target: without symbolic links; path: the name in error messages.
    """
    cdef file_status old
    cdef int fd = -1, where = -1, failed = 0
    cdef bint exists = True, made = False
    cdef const char *to = target
    cdef const char *at = temporary
    cdef const char *within = folder
    if lstat(to, &old):
        exists = False
        failed = 0 if errno == ENOENT else errno
    else:
        refuse_kind(old.st_mode, path)
    # From here on nothing raises an exception until all is closed.
    if not failed:
        with nogil:
            failed = open_at(within, O_RDONLY | O_DIRECTORY, 0, &where)
            if not failed:
                failed = open_at(at, O_WRONLY | O_CREAT | O_EXCL, <mode_t>(old.st_mode & 0o700 if exists else 0o666), &fd)
    if fd >= 0:
        made = True
        failed = write_pieces(fd, pieces)
        with nogil:
            if not failed and exists:
                failed = give_owner_and_mode(fd, &old)
            if not failed:
                failed = sync_file(fd)
            if close_file(fd) and errno != EINTR and not failed:
                failed = errno
            if not failed:
                failed = look_at_signals()
            if not failed:
                if rename(at, to):
                    failed = errno
                else:
                    made = False
            if made:
                unlink(at)
            if not failed:
                failed = sync_folder(where)
    if where >= 0:
        with nogil:
            close_file(where)
    if failed == INTERRUPTED:
        raise_what_is_set()
    if failed:
        raise_os_error(failed, path)


cdef int raise_what_is_set() except -1:
    return -1


cdef class InputFile:
    """A regular file that is open for reading. It is closed with the object, or by `close`."""

    cdef int fd
    cdef readonly int64_t size
    cdef object path

    def __cinit__(self, bytes name, path):
        cdef file_status status
        cdef const char *at = name
        cdef int failed = 0
        self.fd = -1
        self.path = path
        with nogil:  # checked before it is opened, because opening a device may block or have side effects
            failed = errno if stat_file(at, &status) else 0
            if not failed and S_ISREG(status.st_mode):
                failed = open_at(at, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &self.fd)
                if not failed and fstat(self.fd, &status):
                    failed = errno
        if failed == INTERRUPTED:
            raise_what_is_set()
        if failed:
            raise_os_error(failed, path)
        refuse_kind(status.st_mode, path)
        self.size = status.st_size

    def __dealloc__(self):
        self.close()

    cpdef close(self):
        """Close the file if it is open."""
        cdef int fd = self.fd
        self.fd = -1
        if fd >= 0:
            close_file(fd)

    def read_into(self, int64_t offset, buffer):
        """Fill a buffer with the bytes from `offset` on. Return the number of bytes."""
        cdef Py_buffer view
        cdef int failed
        cdef size_t done = 0
        if self.fd < 0:
            raise ValueError("the file is closed")
        get_buffer(buffer, &view, PyBUF_WRITABLE)
        with nogil:
            failed = read_all(self.fd, offset, <char *>view.buf, <size_t>view.len, &done)
        PyBuffer_Release(&view)
        if failed == INTERRUPTED:
            raise_what_is_set()
        if failed:
            raise_os_error(failed, self.path)
        return done

    def read(self, int64_t offset, size_t size):
        """Return the bytes from `offset` on; fewer than `size` at the end of the file."""
        cdef bytes found = PyBytes_FromStringAndSize(NULL, size)
        cdef char *to = found  # writable, because there is no other reference yet
        cdef size_t done = 0
        cdef int failed
        if self.fd < 0:
            raise ValueError("the file is closed")
        with nogil:
            failed = read_all(self.fd, offset, to, size, &done)
        if failed == INTERRUPTED:
            raise_what_is_set()
        if failed:
            raise_os_error(failed, self.path)
        return found if done == size else found[:done]


cdef int read_all(int fd, int64_t offset, char *to, size_t size, size_t *done) noexcept nogil:
    """Return 0 (also at the end of the file), an errno or INTERRUPTED."""
    cdef ssize_t n
    cdef int failed
    if lseek(fd, offset, SEEK_SET) < 0:
        return errno
    while done[0] < size:
        n = read_bytes(fd, to + done[0], size - done[0] if size - done[0] < STRIDE else STRIDE)
        if n < 0 and errno != EINTR:
            return errno
        if n == 0:
            return 0
        if n > 0:
            done[0] += <size_t>n
        failed = look_at_signals()
        if failed:
            return failed
    return 0


def measure_json(bytes text):
    """Measure JSON text before it is parsed: the depth of nesting, the number of objects, lists, members and elements, and the
    number of characters of the longest number. Text that is not JSON also gives numbers."""
    cdef const unsigned char *c = text
    cdef size_t n = len(text), i = 0, depth = 0, deepest = 0, objects = 0, lists = 0, members = 0, elements = 0, digits = 0, longest = 0
    cdef bint in_string = False
    with nogil:
        while i < n:
            if in_string:
                if c[i] == b"\\":
                    i += 1
                elif c[i] == b'"':
                    in_string = False
                i += 1
                continue
            if c[i] == b"-" or c[i] == b"+" or c[i] == b"." or c[i] == b"e" or c[i] == b"E" or b"0" <= c[i] <= b"9":
                digits += 1
                if digits > longest:
                    longest = digits
                i += 1
                continue
            digits = 0
            if c[i] == b'"':
                in_string = True
            elif c[i] == b"{" or c[i] == b"[":
                depth += 1
                if depth > deepest:
                    deepest = depth
                if c[i] == b"{":
                    objects += 1
                else:
                    lists += 1
            elif c[i] == b"}" or c[i] == b"]":
                depth -= depth > 0
            elif c[i] == b":":
                members += 1
            elif c[i] == b",":
                elements += 1
            i += 1
    return deepest, objects, lists, members, elements, longest
