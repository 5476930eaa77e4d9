"""Arrays of programs and maps of maps: Python's objects, and the words that programs see."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from drybpf import Program
from drybpf.maps import Map, MapDefinition, MapType, layout
from drybpf.space import Space
from map_twins import interpret

INNER = MapDefinition("inner", MapType.ARRAY, 4, 8, 3)


def program(space: Space | None = None) -> Program:
    return Program.from_asm("mov r0, 1\nexit") if space is None else _in(space)


def _in(space: Space) -> Program:
    return Program(Program.from_asm(f"mov r0, {id(space) & 0xFF}\nexit").code, space=space)


@pytest.fixture(params=["cpython", "native"])
def make(request: pytest.FixtureRequest) -> Any:
    def made(*arguments: Any, **more: Any) -> Any:
        new = Map.create(MapDefinition("m", *arguments, **more))
        if request.param == "native":
            assert new.attach_native()
            return new
        return interpret(new)

    return made


def word(made: Any, index: int) -> int:
    """What compiled code reads for a tail call."""
    return int(made._storage.word(made._storage.word(layout.VALUES) + 8 * index))


def test_a_program_array(make: Any) -> None:
    space = Space()
    tails, first, second = make(MapType.PROG_ARRAY, 4, 4, 5), program(space), program(space)
    tails[1] = first
    assert (tails.get(1), tails.get(0), dict(tails)) == (first, None, {1: first})
    space.add_map(tails)
    assert (word(tails, 0), word(tails, 1)) == (0, space.number(first.code))
    tails[4] = second
    assert word(tails, 4) == space.number(second.code)
    assert tails.store.buffer.nbytes == 0
    del tails[1]
    assert (word(tails, 1), list(tails)) == (0, [4])
    for index in (5, -1, 1 << 32):
        with pytest.raises(IndexError):
            tails[index] = first
    with pytest.raises(KeyError):
        del tails[1]
    for wrong in (None, 1, "program", b"", INNER):
        with pytest.raises(TypeError):
            tails[1] = wrong
    with pytest.raises(ValueError, match="another space"):
        tails[1] = program(Space())
    assert tails.update_element(bytes(4), bytes(4)) < 0
    tails.keep()
    tails[0] = first
    tails.reset()
    assert (dict(tails), word(tails, 0), word(tails, 4)) == (
        {4: second},
        0,
        space.number(second.code),
    )
    tails.clear()
    assert dict(tails) == {}


@pytest.mark.parametrize("kind", [MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS])
def test_maps_of_maps(make: Any, kind: MapType) -> None:
    space, outer = Space(), make(kind, 4, 4, 5, inner=INNER)
    inner, other = Map.create(INNER), Map.create(INNER)
    outer[3] = inner
    key, absent = (3).to_bytes(4, "little"), (2).to_bytes(4, "little")
    shown = 3 if kind == MapType.ARRAY_OF_MAPS else key
    assert outer[3] is inner
    assert dict(outer.items()).keys() == {shown}
    assert (outer.handle_of(key), inner.handle) == (0, 0)
    space.add_map(outer)
    assert outer.handle_of(key) == inner.handle != 0
    assert space.maps[inner.handle] is inner
    outer[3] = other
    assert (outer.handle_of(key), outer[3]) == (other.handle, other)
    assert outer.handle_of(absent) == 0
    assert outer.store.buffer.nbytes == 0
    assert outer.update_element(key, bytes(4)) < 0
    assert outer.delete_element(key) < 0
    strange = Map.create(INNER)
    Space().add_map(strange)
    with pytest.raises(ValueError, match="another space"):
        outer[1] = strange
    with pytest.raises(TypeError):
        outer[1] = 7
    outer.keep()
    del outer[3]
    assert (len(outer), outer.handle_of(key)) == (0, 0)
    outer.reset()
    assert (outer[3], outer.handle_of(key)) == (other, other.handle)


FITS = [
    (INNER, MapDefinition("x", MapType.ARRAY, 4, 8, 3), ""),
    (INNER, MapDefinition("x", MapType.ARRAY, 4, 8, 4), "max_entries"),
    (INNER, MapDefinition("x", MapType.ARRAY, 4, 9, 3), "value_size"),
    (INNER, MapDefinition("x", MapType.PERCPU_ARRAY, 4, 8, 3), "type"),
    (INNER, MapDefinition("x", MapType.ARRAY, 4, 8, 3, 1 << 10), "flags"),
    (
        MapDefinition("i", MapType.ARRAY, 4, 8, 3, 1 << 12),
        MapDefinition("x", MapType.ARRAY, 4, 8, 9, 1 << 12),
        "",
    ),
    (
        MapDefinition("i", MapType.HASH, 4, 8, 3),
        MapDefinition("x", MapType.HASH, 4, 8, 9),
        "",
    ),
    (
        MapDefinition("i", MapType.HASH, 4, 8, 3),
        MapDefinition("x", MapType.HASH, 8, 8, 3),
        "key_size",
    ),
]


@pytest.mark.parametrize(("wanted", "given", "why"), FITS)
def test_inner_maps_are_of_the_kind_that_is_wanted(
    wanted: MapDefinition, given: MapDefinition, why: str
) -> None:
    outer: Any = Map.create(MapDefinition("m", MapType.ARRAY_OF_MAPS, 4, 4, 2, inner=wanted))
    if why:
        with pytest.raises(ValueError, match=why):
            outer[0] = Map.create(given)
    else:
        outer[0] = Map.create(given)


def test_maps_of_maps_are_not_nested() -> None:
    outer: Any = Map.create(MapDefinition("m", MapType.ARRAY_OF_MAPS, 4, 4, 2))
    with pytest.raises(ValueError, match="holds maps itself"):
        outer[0] = Map.create(outer.definition)


def test_they_are_pickled_with_their_space() -> None:
    space = Space()
    tails: Any = Map.create(MapDefinition("t", MapType.PROG_ARRAY, 4, 4, 5))
    outer: Any = Map.create(MapDefinition("h", MapType.HASH_OF_MAPS, 4, 4, 5, inner=INNER))
    inner: Any = Map.create(INNER)
    for each in (tails, outer):
        space.add_map(each)
    tails[2], outer[9] = program(space), inner
    inner[1] = 77
    for whole in (space, tails, outer, inner):
        twin = pickle.loads(pickle.dumps(whole))  # noqa: S301 (our own)
        copied: Any = twin if isinstance(twin, Space) else twin.space
        new_tails, new_outer, new_inner = copied.maps.values()
        assert new_tails[2].code.bytecode == tails[2].code.bytecode
        assert word(new_tails, 2) == copied.number(new_tails[2].code)
        assert new_outer[9] is new_inner
        assert new_outer.handle_of((9).to_bytes(4, "little")) == inner.handle
        assert new_inner[1] == (77).to_bytes(8, "little")


@pytest.mark.parametrize("kind", [MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS])
@pytest.mark.parametrize("spaced", [False, True])
def test_each_map_is_unpickled_where_it_was(kind: MapType, spaced: bool) -> None:
    outer: Any = Map.create(MapDefinition("o", kind, 4, 4, 5, inner=INNER))
    if spaced:
        Space().add_map(outer)
    inner: list[Any] = [Map.create(INNER) for _ in range(4)]
    for number, each in enumerate(inner):
        each[0] = number
    # Not in the order in which they are numbered anew, one of them gone, one twice.
    for key, number in ((3, 0), (2, 1), (1, 2), (0, 3)):
        outer[key] = inner[number]
    del outer[3]
    outer[4] = inner[2]
    twin = pickle.loads(pickle.dumps(outer))  # noqa: S301 (our own)
    seen = {key: int.from_bytes(twin[key][0], "little") for key in (0, 1, 2, 4)}
    assert seen == {0: 3, 1: 2, 2: 1, 4: 2}
    for key, number in seen.items():
        assert twin.handle_of(key.to_bytes(4, "little")) == inner[number].handle
