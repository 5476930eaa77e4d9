"""Object code kept on disk between processes, for this user alone.

    DRYBPF_CACHE=0        no cache (also `off`, `no`, `false`)
    DRYBPF_CACHE_DIR      where it lies; else $XDG_CACHE_HOME/drybpf, else ~/.cache/drybpf

What is read here is run as machine code.  So the folder and each entry must belong to the user and
be writable by nobody else, no entry is reached through a link, and an entry counts only when its
header names the key asked for and its content has the length and the digest that the header tells:

    0       8                  40                 48                80
    magic   sha256 of the key  length of content  sha256 of content content …

Nothing here raises: a cache that cannot be trusted or written is no cache, and `status()` says why.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG, S_IWGRP, S_IWOTH
from time import time

LIMIT = 256 << 20  # bytes of all entries together
MAX_ENTRIES = 8192
MAX_ENTRY = 32 << 20
SWEEP_EVERY = 64  # stores of a process between two looks at the size; the first store looks too
STALE = 3600  # seconds after which an unfinished file was left by a process that died

_MAGIC = b"drybpf\x00\x01"
_HEADER = struct.Struct("<8s32sQ32s")
_SUFFIX, _UNFINISHED = ".o", ".new"
_OFF = frozenset({"0", "off", "no", "false"})
_SYSTEM_FITS = os.open in os.supports_dir_fd and hasattr(os, "geteuid")
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# O_NONBLOCK: a pipe in the place of an entry must not hold us.
_ENTRY_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Status:
    """Whether the cache is in use, and where; `reason` says why not.

    The counts are those of this process: found, not found, stored, and, among those not found, the
    entries that were there but not to be trusted.
    """

    directory: Path | None
    reason: str
    hits: int = 0
    misses: int = 0
    stores: int = 0
    refused: int = 0

    @property
    def enabled(self) -> bool:
        """Whether entries are read and written."""
        return not self.reason


class _NoCacheError(Exception):
    """The folder is not to be used; the message says why."""


def load(key: bytes) -> bytes | None:
    """The object code stored under a key, None where there is none that can be trusted."""
    return _cache().load(key)


def store(key: bytes, data: bytes) -> None:
    """Keep object code under a key, if the cache is in use."""
    _cache().store(key, data)


def status() -> Status:
    """Where the cache is, whether it is in use, and what it has done so far."""
    return _cache().status()


def _cache() -> Cache:
    return _at(*_place(os.environ))


@lru_cache(maxsize=16)
def _at(directory: Path | None, reason: str) -> Cache:
    return Cache(directory, reason)


def _place(environment: Mapping[str, str]) -> tuple[Path | None, str]:
    """The folder that the environment names, or None and the reason."""
    if environment.get("DRYBPF_CACHE", "").lower() in _OFF:
        return None, "switched off by DRYBPF_CACHE"
    if named := environment.get("DRYBPF_CACHE_DIR"):
        return Path(named), ""
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # others are to be ignored, says the XDG specification
        return base / "drybpf", ""
    try:
        return Path.home() / ".cache" / "drybpf", ""
    except RuntimeError:
        return None, "there is no home directory"


class Cache:
    """One folder of entries.  `directory` None is no cache, for a `reason`."""

    def __init__(self, directory: Path | None, reason: str = "", *, limit: int = LIMIT) -> None:
        """Name the folder; it is made when it is first needed.  `limit` is in bytes."""
        self._directory, self._reason, self._limit = directory, reason, limit
        self._hits = self._misses = self._stores = self._refused = 0

    def status(self) -> Status:
        """Look at the folder, making it if need be, and tell how it stands."""
        reason = ""
        try:
            with self._folder():
                pass
        except (_NoCacheError, OSError, ValueError) as error:
            reason = str(error)
        counts = self._hits, self._misses, self._stores, self._refused
        return Status(self._directory, reason, *counts)

    def load(self, key: bytes) -> bytes | None:
        """The content under a key.  An entry that is not to be trusted is removed."""
        digest = sha256(key)
        name = digest.hexdigest() + _SUFFIX
        with suppress(_NoCacheError, OSError, ValueError), self._folder() as folder:
            content = None
            with suppress(FileNotFoundError):
                content = _read(name, folder, digest.digest())
                if content is None:
                    self._refused += 1
                    _remove(name, folder)
            if content is not None:
                self._hits += 1
                return content
        self._misses += 1
        return None

    def store(self, key: bytes, data: bytes) -> None:
        """Put content under a key, in one step: another process sees all of it or nothing."""
        if len(data) > min(MAX_ENTRY, self._limit):
            return
        digest = sha256(key)
        header = _header(digest.digest(), data)
        with suppress(_NoCacheError, OSError, ValueError), self._folder() as folder:
            _write(digest.hexdigest() + _SUFFIX, folder, header + data)
            if self._stores % SWEEP_EVERY == 0:
                _sweep(folder, self._limit)
            self._stores += 1

    @contextmanager
    def _folder(self) -> Iterator[int]:
        """The folder, open: what is checked is what is used, whoever renames it meanwhile."""
        if self._directory is None:
            raise _NoCacheError(self._reason)
        if not _SYSTEM_FITS:
            raise _NoCacheError("this system cannot tell whose files they are")
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self._directory.mkdir(mode=0o700)
        folder = os.open(self._directory, _FOLDER_FLAGS)
        try:
            if objection := _objection(os.fstat(folder)):
                raise _NoCacheError(f"{self._directory} {objection}")
            yield folder
        finally:
            os.close(folder)


def _header(key: bytes, content: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, key, len(content), sha256(content).digest())


def _objection(status: os.stat_result) -> str:
    """Why a file or folder is not ours alone; empty where it is."""
    if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        return "is no file"
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    if status.st_mode & (S_IWGRP | S_IWOTH):
        return f"can be written by others (mode {S_IMODE(status.st_mode):o})"
    return ""


def _read(name: str, folder: int, key: bytes) -> bytes | None:
    """The content of an entry, None where anything about it is wrong."""
    try:
        entry = os.open(name, _ENTRY_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:  # a link, say
        return None
    with open(entry, "rb") as file:  # noqa: PTH123 (a descriptor, no path)
        if _objection(os.fstat(entry)):
            return None
        data = file.read(_HEADER.size + MAX_ENTRY + 1)
        content = data[_HEADER.size :]
        if data[: _HEADER.size] != _header(key, content) or len(content) > MAX_ENTRY:
            return None
        os.utime(entry)  # the sweep removes what has not been used for longest
        return content


def _write(name: str, folder: int, data: bytes) -> None:
    unfinished = f"{os.urandom(8).hex()}{_UNFINISHED}"
    try:
        with open(os.open(unfinished, _NEW_FLAGS, 0o600, dir_fd=folder), "wb") as file:  # noqa: PTH123 (as above)
            file.write(data)
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _remove(unfinished, folder)
        raise


def _remove(name: str, folder: int) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _sweep(folder: int, limit: int) -> None:
    """Remove what died unfinished, then the oldest entries until the rest is within the limit."""
    entries = []
    now = time()
    with os.scandir(folder) as files:
        for file in files:
            with suppress(FileNotFoundError):  # another process sweeps too
                status = file.stat(follow_symlinks=False)
                if file.name.endswith(_SUFFIX):
                    entries.append((status.st_mtime_ns, file.name, status.st_size))
                elif file.name.endswith(_UNFINISHED) and now - status.st_mtime > STALE:
                    _remove(file.name, folder)
    total = 0
    for count, (_, name, size) in enumerate(sorted(entries, reverse=True)):
        total += size
        if total > limit or count >= MAX_ENTRIES:
            _remove(name, folder)
