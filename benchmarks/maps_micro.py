"""Maps alone: operations in native code, and filling and reading from Python.

    python benchmarks/maps_micro.py [--entries N …] [--quick]

Native figures are nanoseconds an operation over random keys that are there, 100,000 in a row:
`inlined` the look-up as compiled programs inline it, `called` through the map's table of
addresses, `update` of a key that is there, `churn` an insertion and a deletion.  Python figures are
microseconds an element, the native runtime loaded.
"""

from __future__ import annotations

import argparse
import ctypes
import math
from collections.abc import Callable, Iterator
from random import Random
from time import perf_counter

from drybpf.maps import Map, MapDefinition, MapFlag, MapType, layout
from drybpf.native.emit import compile_ir
from drybpf.native.link import Library, link
from figures import Figure, topics

QUERIES = 100_000
TOPIC = "maps, ns an operation"
# What calls an operation once for each key of a row; `{call}` gives %r.
_LOOP = """
define i64 @{name}(ptr %m, ptr %keys, i64 %count) {{
  %mi = ptrtoint ptr %m to i64
  br label %loop
loop:
  %i = phi i64 [0, %0], [%next, %loop]
  %sum = phi i64 [0, %0], [%more, %loop]
  %at = mul i64 %i, {key}
  %k = getelementptr i8, ptr %keys, i64 %at
  %ki = ptrtoint ptr %k to i64
  {call}
  %more = add i64 %sum, %r
  %next = add i64 %i, 1
  %on = icmp ult i64 %next, %count
  br i1 %on, label %loop, label %done
done:
  ret i64 %more
}}
"""
_TABLE = """%f.at{0} = getelementptr i8, ptr %m, i64 {0}
  %f{0} = load ptr, ptr %f.at{0}
  {1} = call i64 %f{0}({2})"""
_UPDATE = "i64 %mi, i64 %ki, i64 %ki, i64 0, i64 0, i64 %i"
_CALLED = {
    "called": _TABLE.format(layout.LOOKUP, "%r", "i64 %mi, i64 %ki, i64 0"),
    "update": _TABLE.format(layout.UPDATE, "%r", _UPDATE),
    "churn": "\n  ".join(
        (
            _TABLE.format(layout.DELETE, "%d", "i64 %mi, i64 %ki, i64 %i"),
            _TABLE.format(layout.UPDATE, "%r", _UPDATE),
        )
    ),
}


def native(definition: MapDefinition, keys: list[bytes], rounds: int) -> Iterator[Figure]:
    """The figures of one map that holds the keys."""
    made = Map.create(definition)
    made.attach_native()
    for key in keys:
        made.update_element(key, bytes(definition.value_size))
    random = Random(1)  # noqa: S311 (repeatable by design)
    queries = b"".join(random.choice(keys) for _ in range(QUERIES))
    room = ctypes.create_string_buffer(queries, len(queries) + 8)
    library, names = _compiled(made)
    for name in names:
        if name == "churn" and "ARRAY" in definition.type.name:
            continue
        function = ctypes.CFUNCTYPE(*[ctypes.c_uint64] * 4)(library.address(name))
        best = _best(rounds, lambda f=function: f(made.address, ctypes.addressof(room), QUERIES))
        what = f"{definition.type.name.lower()}, {len(keys):,} × {definition.key_size}: {name}"
        target = {"inlined": 14.0, "update": 60.0}.get(name)
        yield Figure(TOPIC, what, best / QUERIES * 1e9, "ns", target)


def _compiled(made: Map) -> tuple[Library, list[str]]:
    key, inlined, calls, ir = made.definition.key_size, made.inline_lookup(), dict(_CALLED), ""
    if inlined is not None:
        ir = inlined.ir(inline=True)
        call = f"%r = call i64 @{inlined.symbol}(i64 %mi, i64 %ki, i64 0)"
        calls = {"inlined": call, **calls}
    ir += "".join(_LOOP.format(name=name, key=key, call=call) for name, call in calls.items())
    return link([compile_ir(ir, verify=True)], list(calls)), list(calls)


def _best(rounds: int, run: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(rounds):
        begin = perf_counter()
        run()
        best = min(best, perf_counter() - begin)
    return best


def python(definition: MapDefinition, entries: int, rounds: int) -> Iterator[Figure]:
    """The figures of filling a map from Python, and of reading it."""
    made = Map.create(definition)
    made.attach_native()
    topic, name = "maps from Python, µs an element", definition.type.name.lower()

    def fill() -> None:
        for number in range(entries):
            made[number] = number

    def read() -> None:
        for number in range(entries):
            made[number]

    for what, run in (("filled", fill), ("read", read), ("snapshot", made.snapshot)):
        seconds = _best(rounds, run)
        yield Figure(topic, f"{name}, {entries:,}: {what}", seconds / entries * 1e6, "µs")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, nargs="*", default=[1000, 100_000])
    parser.add_argument("--quick", action="store_true", help="a round each")
    given = parser.parse_args()
    rounds, figures = 1 if given.quick else 15, list[Figure]()
    random = Random(5)  # noqa: S311 (as above)
    for entries in given.entries:
        for kind in (MapType.HASH, MapType.LRU_HASH):
            for size in (4, 16):
                keys = list(dict.fromkeys(random.randbytes(size) for _ in range(entries)))
                figures += native(MapDefinition("m", kind, size, 8, entries), keys, rounds)
        keys = [number.to_bytes(4, "little") for number in range(entries)]
        figures += native(MapDefinition("m", MapType.ARRAY, 4, 8, entries), keys, rounds)
        lengths = (random.randint(8, 32).to_bytes(4, "little") for _ in range(entries))
        prefixes = list(dict.fromkeys(each + random.randbytes(4) for each in lengths))
        what = MapDefinition("m", MapType.LPM_TRIE, 8, 8, entries, MapFlag.NO_PREALLOC)
        figures += native(what, prefixes, rounds)
        for kind in (MapType.HASH, MapType.ARRAY, MapType.LRU_HASH):
            figures += python(MapDefinition("m", kind, 4, 8, entries), entries, min(rounds, 3))
    print(topics(figures))


if __name__ == "__main__":
    main()
