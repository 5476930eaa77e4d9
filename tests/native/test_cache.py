"""The disk cache: what it keeps, what it never trusts, and that it never raises."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from time import time

import pytest

from drybpf.native import cache
from drybpf.native.cache import Cache

KEY, DATA = b"key", b"object code " * 100
Damage = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DRYBPF_CACHE", "DRYBPF_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_is_stored_is_found_by_another_process(folder: Path) -> None:
    first = Cache(folder)
    assert first.load(KEY) is None
    first.store(KEY, DATA)
    first.store(b"empty", b"")
    second = Cache(folder)
    assert second.load(KEY) == DATA
    assert second.load(b"empty") == b""
    assert second.load(b"other") is None
    state = second.status()
    assert state.enabled
    assert state.directory == folder
    assert (state.hits, state.misses, state.stores, state.refused) == (2, 1, 0, 0)
    assert first.status().stores == 2


def test_a_later_store_wins(folder: Path) -> None:
    store = Cache(folder)
    store.store(KEY, b"old")
    store.store(KEY, b"new")
    assert store.load(KEY) == b"new"
    assert len(entries(folder)) == 1


def test_folder_and_entries_are_the_users_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        Cache(folder).store(KEY, DATA)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [entry.stat().st_mode & 0o777 for entry in entries(folder)] == [0o600]


def overwrite(at: int, data: bytes) -> Damage:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return damage


def link_away(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket must be short
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


def another_entry(path: Path) -> None:
    Cache(path.parent).store(b"another key", DATA)
    [other] = set(entries(path.parent)) - {path}
    other.rename(path)


DAMAGES: dict[str, Damage] = {
    "magic": overwrite(0, b"x"),
    "version": overwrite(7, b"\x02"),
    "key": overwrite(8, b"\0\0\0\0"),
    "length": overwrite(40, (DATA.__len__() + 1).to_bytes(8, "little")),
    "digest": overwrite(48, b"\0\0\0\0"),
    "content": overwrite(80, b"O"),
    "longer": overwrite(80 + len(DATA), b"x"),
    "cut": lambda path: os.truncate(path, 80 + len(DATA) - 1),
    "cut in the header": lambda path: os.truncate(path, 79),
    "empty": lambda path: os.truncate(path, 0),
    "for another key": another_entry,
    "writable by the group": lambda path: path.chmod(0o620),
    "writable by all": lambda path: path.chmod(0o602),
    "a link": link_away,
    "a pipe": pipe,
    "a socket": bound_socket,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_entry_not_to_be_trusted_is_removed_and_replaced(folder: Path, damage: Damage) -> None:
    store = Cache(folder)
    store.store(KEY, DATA)
    [path] = entries(folder)
    damage(path)
    assert store.load(KEY) is None
    assert not os.path.lexists(path)
    assert store.status().refused == 1
    store.store(KEY, DATA)
    assert store.load(KEY) == DATA


def test_what_a_link_points_at_is_left_alone(folder: Path) -> None:
    store = Cache(folder)
    store.store(KEY, DATA)
    [path] = entries(folder)
    link_away(path)
    store.load(KEY)
    assert path.with_suffix(".moved").exists()


def test_a_folder_in_the_place_of_an_entry(folder: Path) -> None:
    store = Cache(folder)
    store.store(KEY, DATA)
    [path] = entries(folder)
    path.unlink()
    path.mkdir()
    store.store(KEY, DATA)
    assert store.load(KEY) is None
    assert [entry.name for entry in entries(folder)] == [path.name]


def test_an_entry_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Cache(folder)
    store.store(KEY, DATA)
    monkeypatch.setattr(cache, "MAX_ENTRY", len(DATA) - 1)
    assert store.load(KEY) is None
    store.store(KEY, DATA)
    assert entries(folder) == []


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write(folder: Path, mode: int) -> None:
    Cache(folder).store(KEY, DATA)
    folder.chmod(mode)
    store = Cache(folder)
    assert store.load(KEY) is None
    store.store(b"more", DATA)
    assert len(entries(folder)) == 1
    state = store.status()
    assert not state.enabled
    assert state.reason == f"{folder} can be written by others (mode {mode:o})"


def test_what_belongs_to_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Cache(folder)
    store.store(KEY, DATA)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert store.load(KEY) is None
    assert store.status().reason == f"{folder} belongs to another user"
    assert len(entries(folder)) == 1


def test_places_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("a\0b")):
        store = Cache(place)
        store.store(KEY, DATA)
        assert store.load(KEY) is None
        assert not store.status().enabled


def test_a_system_without_owners(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SYSTEM_FITS", False)
    store = Cache(folder)
    store.store(KEY, DATA)
    assert store.load(KEY) is None
    assert store.status().reason == "this system cannot tell whose files they are"
    assert not folder.exists()


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    store = Cache(folder)
    monkeypatch.setattr(os, "replace", replace)
    store.store(KEY, DATA)
    assert entries(folder) == []
    assert store.status().stores == 0


def test_the_least_recently_used_goes_first(folder: Path) -> None:
    store = Cache(folder)
    for number in range(10):
        store.store(b"%d" % number, DATA)
    for age, number in enumerate((3, 7, *set(range(10)) - {3, 7})):
        name = sha256(b"%d" % number).hexdigest() + ".o"
        os.utime(folder / name, (1_000_000_000 - age, 1_000_000_000 - age))
    assert store.load(b"5") == DATA  # that makes it the newest
    size = len(DATA) + 80
    small = Cache(folder, limit=4 * size + size // 2)
    small.store(b"more", DATA)
    kept = [
        name
        for name in (*b"0123456789", b"more")
        if small.load(bytes([name]) if isinstance(name, int) else name)
    ]
    assert kept == [ord("3"), ord("5"), ord("7"), b"more"]


def test_the_size_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SWEEP_EVERY", 8)
    limit = 10 * (len(DATA) + 80)
    store = Cache(folder, limit=limit)
    for number in range(100):
        store.store(b"%d" % number, DATA)
        assert len(entries(folder)) <= 10 + 8
    store.store(b"too large", bytes(limit + 1))
    assert store.load(b"too large") is None


def test_the_number_of_entries_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SWEEP_EVERY", 1)
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    store = Cache(folder)
    for number in range(10):
        store.store(b"%d" % number, b"")
    assert len(entries(folder)) == 3


def test_what_died_unfinished_is_swept_away(folder: Path) -> None:
    Cache(folder).store(KEY, DATA)
    for name, age in (("old.new", 2 * cache.STALE), ("young.new", 0), ("old.txt", 2 * cache.STALE)):
        (folder / name).write_bytes(b"")
        then = time() - age
        os.utime(folder / name, (then, then))
    Cache(folder).store(KEY, DATA)
    assert [entry.name for entry in entries(folder)[1:]] == ["old.txt", "young.new"]


def test_many_threads_store_and_load(folder: Path) -> None:
    store = Cache(folder, limit=20 * (len(DATA) + 80))

    def work(number: int) -> bool:
        key = b"%d" % (number % 10)
        store.store(key, key * 100)
        return store.load(key) in {key * 100, None}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))
    assert len(entries(folder)) == 10


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.status().directory == tmp_path / ".cache" / "drybpf"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored
    assert cache.status().directory == tmp_path / ".cache" / "drybpf"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.status().directory == tmp_path / "xdg" / "drybpf"
    monkeypatch.setenv("DRYBPF_CACHE_DIR", str(tmp_path / "own"))
    assert cache.status().directory == tmp_path / "own"
    cache.store(KEY, DATA)
    assert cache.load(KEY) == DATA
    assert len(entries(tmp_path / "own")) == 1


@pytest.mark.parametrize("word", ["0", "off", "No", "FALSE"])
def test_switched_off(folder: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("DRYBPF_CACHE_DIR", str(folder))
    monkeypatch.setenv("DRYBPF_CACHE", word)
    cache.store(KEY, DATA)
    assert cache.load(KEY) is None
    assert cache.status().reason == "switched off by DRYBPF_CACHE"
    assert not folder.exists()


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", home)
    assert cache.status().reason == "there is no home directory"
