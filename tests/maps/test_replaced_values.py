"""What a pointer to a value leads to when the key is updated: the old value or the new one."""

from __future__ import annotations

import pytest

from drybpf.asm import assemble
from drybpf.kernel import KernelMap, KernelProgram
from drybpf.maps import Map, MapDefinition, MapFlag, MapType
from kernel_here import needs_kernel
from map_twins import Twins as MapTwins
from map_twins import definition
from space_programs import Twins

T = MapType
KEY = (1).to_bytes(8, "little")  # the prefix of length 1, too
TEXT = """
    stdw [r10-8], 1
    lddw r1, {m}
    mov r2, r10
    add r2, -8
    call 1
    jne r0, 0, +1
    exit
    mov r6, r0
    stdw [r10-16], 77
    lddw r1, {m}
    mov r2, r10
    add r2, -8
    mov r3, r10
    add r3, -16
    mov r4, 0
    call 2
    mov r7, r0
    ldxdw r8, [r6]
    stdw [r6], 99
    lddw r1, {m}
    mov r2, r10
    add r2, -8
    call 1
    jne r0, 0, +1
    exit
    ldxdw r0, [r0]
    lsh r0, 8
    or r0, r8
    or r0, r7
    exit
"""
KINDS = {
    (T.HASH, 4): False,
    (T.LRU_HASH, 4): False,
    (T.LPM_TRIE, 8): False,
    (T.ARRAY, 4): True,
    (T.PERCPU_HASH, 4): True,
    (T.LRU_PERCPU_HASH, 4): True,
    (T.PERCPU_ARRAY, 4): True,
}  # type and key size: whether the old pointer sees the new value


def outcome(in_place: bool) -> int:
    return 99 << 8 | 77 if in_place else 77 << 8 | 5


@pytest.mark.parametrize("sizes", KINDS, ids=lambda sizes: sizes[0].name)
def test_the_old_pointer_leads_where_the_kernel_lets_it(sizes: tuple[MapType, int]) -> None:
    kind, size = sizes
    twins = Twins(TEXT, m=(kind, size, 8, 4))
    for maps in twins.maps:
        maps["m"][1 if kind in (T.ARRAY, T.PERCPU_ARRAY) else KEY[:size]] = 5
    assert twins.run().value == outcome(KINDS[sizes])


@needs_kernel
@pytest.mark.parametrize("sizes", KINDS, ids=lambda sizes: sizes[0].name)
def test_the_kernel_says_so(sizes: tuple[MapType, int]) -> None:
    kind, size = sizes
    flags = MapFlag.NO_PREALLOC if kind == T.LPM_TRIE else 0
    what = MapDefinition("m", kind, size, 8, 4, flags)
    with KernelMap(what) as theirs:
        theirs.update(KEY[:size], b"".join([(5).to_bytes(8, "little")] * (theirs.value_room // 8)))
        text = TEXT.format(m=f"map_by_fd({theirs.fd})")
        with KernelProgram(assemble(text), 6) as program:
            assert program.test_run(bytes(64)).value == outcome(KINDS[sizes])


@pytest.mark.parametrize("kind", [T.HASH, T.LRU_HASH, T.LPM_TRIE])
def test_updates_keep_the_order_and_find_all(kind: MapType) -> None:
    """However often: more often than there is room for old values."""
    size = 8 if kind == T.LPM_TRIE else 4
    twins = MapTwins(definition(kind, size, 4, 5))
    keys = [bytes([8 * n % 33, *[0] * (size - 5), n, 0, 0, 0])[:size] for n in range(5)]
    if size == 8:
        keys = [bytes([8 * (n + 1) % 33, 0, 0, 0, n, n, n, n]) for n in range(5)]
    for key in keys:
        assert twins("update", key, key[:4], 0, 0, 1) == 0
    for epoch in (1, 1, 1, 1, 2, 2, 2, 3):
        for key in keys[1::2]:
            assert twins("update", key, bytes([epoch] * 4), 2, 0, epoch) == 0
    for number, key in enumerate(keys):
        offset = twins("lookup", key, 0)
        assert twins.value(offset) == (bytes([3] * 4) if number % 2 else key[:4])
    assert [bytes(key) for key in twins.native.keys_in_order()] == keys
    for key in keys:
        assert twins("delete", key, 4) == 0
        assert twins("lookup", key, 0) == -1


def test_what_is_locked_is_written_in_place() -> None:
    """As in the kernel: BPF_F_LOCK is for those who hold on to the value."""
    from drybpf.maps import create  # noqa: PLC0415 (here alone)

    class Lock:
        name, size = "bpf_spin_lock", 4

        def unpack(self, data: bytes) -> bytes:
            return data

        def pack(self, value: object) -> bytes:
            return bytes(value)  # type: ignore[call-overload,no-any-return]

    made: Map = create("hash", key=4, value=Lock(), entries=4)
    for flags, same in ((4, True), (0, False), (4, True)):
        key = b"key."
        made.update_element(key, b"1111")
        before = made.lookup_element(key)
        assert made.update_element(key, b"2222", flags) == 0
        assert (made.lookup_element(key) == before) == same
