"""Maps in the kernel, by bpf(2)."""

from __future__ import annotations

import errno
import gc
import os
import struct

import pytest

from drybpf.asm import assemble
from drybpf.errors import KernelError
from drybpf.kernel import KernelMap, KernelProgram, cpus
from drybpf.kernel.btf import Special
from drybpf.kernel.maps import EXIST, NOEXIST, join_cpus, split_cpus
from drybpf.kernel.rings import PerfReader, RingReader
from drybpf.maps import MapDefinition, MapType
from drybpf.maps.definition import MapFlag
from kernel_here import needs_kernel

pytestmark = needs_kernel


def _make(
    kind: MapType, key: int = 4, value: int = 4, entries: int = 4, flags: int = 0
) -> KernelMap:
    return KernelMap(MapDefinition("a map's name that is long", kind, key, value, entries, flags))


def _word(number: int) -> bytes:
    return struct.pack("<I", number)


def test_elements() -> None:
    with _make(MapType.HASH, entries=3) as table:
        assert list(table.items()) == []
        for number in range(3):
            table.update(_word(number), _word(number * number))
        assert dict(table.items()) == {_word(n): _word(n * n) for n in range(3)}
        assert table.lookup(_word(2)) == _word(4)
        assert table.lookup(_word(7)) is None
        assert [table.delete(_word(n)) for n in (1, 1)] == [True, False]
        assert set(table.keys()) == {_word(0), _word(2)}
        for key in table.keys():  # noqa: SIM118 (its keys are no mapping's)
            table.delete(key)
        assert list(table.keys()) == []


@pytest.mark.parametrize(
    ("key", "flags", "code"),
    [
        (0, NOEXIST, errno.EEXIST),
        (5, EXIST, errno.ENOENT),
        (5, 0, errno.E2BIG),
        (0, 9, errno.EINVAL),
    ],
)
def test_refusals_carry_errno(key: int, flags: int, code: int) -> None:
    with _make(MapType.HASH, entries=1) as table:
        table.update(_word(0), _word(1))
        with pytest.raises(KernelError) as caught:
            table.update(_word(key), _word(1), flags)
    assert caught.value.errno == code
    assert os.strerror(code) in str(caught.value)


def test_sizes_are_checked_before_the_kernel_reads() -> None:
    with _make(MapType.HASH) as table:
        for key, value in ((b"123", b"1234"), (b"1234", b"12345")):
            with pytest.raises(ValueError, match="bytes, not"):
                table.update(key, value)
        with pytest.raises(ValueError, match="a key has 4 bytes, not 0"):
            table.lookup()


def test_values_of_cpus() -> None:
    with _make(MapType.PERCPU_ARRAY, value=3, entries=1) as table:
        values = [bytes([cpu, 7, 9]) for cpu in range(cpus.possible())]
        table.update(_word(0), join_cpus(values, 3))
        assert split_cpus(table.lookup(_word(0)) or b"", 3) == values
    assert split_cpus(join_cpus([b"abc"], 3), 3) == [b"abc", *[bytes(3)] * (cpus.possible() - 1)]


def test_queue_and_stack() -> None:
    for kind, order in ((MapType.QUEUE, [0, 1]), (MapType.STACK, [1, 0])):
        with _make(kind, key=0) as table:
            table.update(b"", _word(0))
            table.update(b"", _word(1))
            assert table.lookup() == _word(order[0])
            assert [table.pop(), table.pop(), table.pop()] == [*map(_word, order), None]


def test_maps_of_maps() -> None:
    inner = _make(MapType.ARRAY)
    with (
        inner,
        KernelMap(MapDefinition("outer", MapType.HASH_OF_MAPS, 4, 4, 4), inner=inner) as outer,
    ):
        outer.update(_word(3), _word(inner.fd))
        assert list(outer.keys()) == [_word(3)]


def test_prefixes() -> None:
    with _make(MapType.LPM_TRIE, key=8, flags=MapFlag.NO_PREALLOC) as trie:
        trie.update(_word(8) + bytes([10, 0, 0, 0]), _word(1))
        assert trie.lookup(_word(32) + bytes([10, 9, 9, 9])) == _word(1)
        assert trie.lookup(_word(32) + bytes([11, 9, 9, 9])) is None


def test_frozen() -> None:
    with _make(MapType.ARRAY) as table:
        table.update(_word(0), _word(5))
        table.freeze()
        with pytest.raises(KernelError) as caught:
            table.update(_word(0), _word(6))
        assert caught.value.errno == errno.EPERM
        assert caught.value.reason == "the kernel refused MAP_UPDATE_ELEM: Operation not permitted"
        assert table.lookup(_word(0)) == _word(5)


def test_locks_in_values_are_known_to_the_kernel() -> None:
    with KernelMap(
        MapDefinition("locked", MapType.HASH, 6, 40, 4),
        special=[Special(8, "bpf_timer"), Special(4, "bpf_spin_lock"), Special(24, "bpf_refcount")],
    ) as table:
        table.update(b"abcdef", bytes(range(40)))
        value = table.lookup(b"abcdef") or b""
        assert value == bytes([0, 1, 2, 3, *[0] * 20, *value[24:28], *range(28, 40)])


def test_ring_buffer() -> None:
    text = """
        mov r6, 3
    again:
        lddw r1, map_by_fd({fd})
        mov r2, r10
        add r2, -12
        stxdw [r10-16], r6
        stw [r10-8], 0x01020304
        mov r3, 12
        mov r4, 0
        call 130
        add r6, -1
        jne r6, 0, again
        mov r0, 2
        exit
    """
    with _make(MapType.RINGBUF, key=0, value=0, entries=4096) as ring:
        reader = RingReader(ring)
        with KernelProgram(assemble(text.format(fd=ring.fd)), 6) as program:
            record = struct.pack("<II", 0, 0x01020304)
            for _ in range(100):  # more than fits: it is read in between
                assert program.test_run(bytes(14)).value == 2
                found = list(reader.records())
                assert [data[:8] for data, _ in found] == [record] * 3
                assert not any(discarded for _, discarded in found)
                reader.free()
        assert list(reader.records()) == []
        reader.close()


def test_perf_events() -> None:
    text = """
        mov r6, r1
        stdw [r10-8], 77
        lddw r2, map_by_fd({fd})
        lddw r3, 0xffffffff
        mov r4, r10
        add r4, -8
        mov r5, 8
        call 25
        exit
    """
    with _make(MapType.PERF_EVENT_ARRAY, entries=cpus.possible()) as events:
        reader = PerfReader(events)
        with KernelProgram(assemble(text.format(fd=events.fd)), 6) as program:
            for _ in range(5000):  # the pages are gone round several times
                with cpus.on(0):
                    assert program.test_run(bytes(14)).value == 0
                assert [(cpu, data[:8]) for cpu, data in reader.records()] == [(0, b"M" + bytes(7))]
        reader.close()


def test_what_the_kernel_has_not() -> None:
    with pytest.raises(KernelError, match="Invalid argument") as caught:
        _make(MapType.STRUCT_OPS)
    assert "struct_ops" in caught.value.__notes__[0]


def test_descriptors_are_closed_with_what_they_belong_to() -> None:
    table = _make(MapType.ARRAY)
    fd = table.fd
    table.close()
    table.close()
    with pytest.raises(ValueError, match="closed"):
        table.lookup(_word(0))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names are enough)
    for _ in range(1000):
        _make(MapType.ARRAY, entries=1)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert fd >= 0


@pytest.mark.parametrize("together", [1, 3, 4096])
@pytest.mark.parametrize("kind", [MapType.HASH, MapType.ARRAY, MapType.LRU_HASH, MapType.LPM_TRIE])
def test_all_elements_come_however_few_go_in_one_call(
    kind: MapType, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket of a hash that has more elements than the call asks for makes it ask for more."""
    monkeypatch.setattr(KernelMap, "_together", property(lambda _: together))
    size = 8 if kind == MapType.LPM_TRIE else 4
    flags = MapFlag.NO_PREALLOC if kind == MapType.LPM_TRIE else 0
    wanted = {
        (32).to_bytes(4, "little") * (size == 8) + _word(number): _word(number + 1)
        for number in range(300)
    }
    entries = 5000 if kind == MapType.LRU_HASH else 300  # which forgets some before it is full
    with _make(kind, key=size, entries=entries, flags=flags) as table:
        table.update_all(wanted.items())
        assert dict(table.items()) == wanted
        table.update(next(iter(wanted)), _word(0))
        assert dict(table.items(filled=True)) == {key: wanted[key] for key in list(wanted)[1:]}


def test_what_does_not_fit_is_told_and_the_rest_is_there() -> None:
    with _make(MapType.HASH, entries=3) as table:
        with pytest.raises(KernelError) as caught:
            table.update_all((_word(number), _word(number)) for number in range(5))
        assert caught.value.errno == errno.E2BIG
        assert dict(table.items()) == {_word(number): _word(number) for number in range(3)}


def test_maps_show_what_they_are() -> None:
    with _make(MapType.ARRAY) as table:
        assert repr(table) == "<KernelMap a map's name that is long: array>"
    with pytest.raises(KernelError, match="Invalid argument") as caught:
        KernelMap(MapDefinition("m", MapType.ARRAY, 8, 4, 4))
    assert caught.value.__notes__ == ["map 'm' (array)"]
