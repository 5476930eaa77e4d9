"""What differs between two packets, or two maps, in words for a failed test."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from drybpf.testing.headers import Field, fields, name_at

MOST = 40  # lines of a difference


def packet_difference(left: bytes, right: bytes) -> list[str]:
    """The differing bytes of two frames by header field, a line a field; empty for equal ones.

    With scapy loaded, its layers and fields that differ follow.
    """
    if left == right:
        return []
    if len(left) == len(right):
        changed = [
            index for index, pair in enumerate(zip(left, right, strict=True)) if len({*pair}) > 1
        ]
        lines = [f"{len(changed)} of {len(left)} bytes differ:"]
        lines += _by_field(left, right, changed)
    else:
        lines = [f"{len(left)} bytes against {len(right)}:", *_by_length(left, right)]
    return _shortened(lines) + _shortened(list(_by_scapy(left, right)))


def _by_field(left: bytes, right: bytes, changed: list[int]) -> Iterator[str]:
    named = fields(right)
    for field, group in groupby(changed, key=lambda index: _field_at(named, index)):
        indices = list(group)
        start, end = (
            (field.start, field.end) if field.name != "payload" else (indices[0], indices[-1] + 1)
        )
        end = min(end, start + 16)
        name = field.name
        yield f"  {start:#06x} {name:24} {left[start:end].hex(' ')} → {right[start:end].hex(' ')}"


def _field_at(named: list[Field], index: int) -> Field:
    return next(field for field in named if field.start <= index < field.end)


def _by_length(left: bytes, right: bytes) -> Iterator[str]:
    """What lies between the bytes that both begin with and those that both end with."""
    shorter = min(len(left), len(right))
    first = next((i for i in range(shorter) if left[i] != right[i]), shorter)
    last = next(
        (i for i in range(shorter - first) if left[-1 - i] != right[-1 - i]), shorter - first
    )
    was, now = left[first : len(left) - last], right[first : len(right) - last]
    place = f"  {first:#06x} {name_at(fields(left), first) or 'end'}"
    if not was:
        yield f"{place}: {len(now)} bytes more on the right: {_hex(now)}"
    elif not now:
        yield f"{place}: {len(was)} bytes more on the left: {_hex(was)}"
    else:
        yield f"{place}: {_hex(was)} → {_hex(now)}"


def _hex(data: bytes) -> str:
    return data[:32].hex(" ") + (" …" if len(data) > 32 else "")


def _by_scapy(left: bytes, right: bytes) -> Iterator[str]:
    """Fields as scapy names them, where the test has it loaded."""
    module = sys.modules.get("scapy.layers.l2")
    if module is None:
        return
    try:
        was, now = (list(_scapy_fields(module.Ether(data))) for data in (left, right))
    except Exception:  # noqa: BLE001 (a dissector of somebody else's, on packets that may be broken)
        return
    known = dict(now)
    changed = [(name, value, known.get(name)) for name, value in was if known.get(name) != value]
    added = [(name, None, value) for name, value in now if name not in dict(was)]
    if changed or added:
        yield "as scapy reads them:"
    for name, before, after in (*changed, *added):
        yield f"  {name}: {before!r} → {after!r}"


def _scapy_fields(packet: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 (scapy's)
    depth = 0
    while packet and depth < 32:
        for field in packet.fields_desc:
            yield f"{packet.name}[{depth}].{field.name}", packet.getfieldval(field.name)
        packet, depth = packet.payload, depth + 1


def map_difference(left: Any, right: Any) -> list[str]:  # noqa: ANN401 (maps, dicts, lists)
    """The keys of two maps that differ, a line a key; empty for equal ones.

    Maps are mappings, or arrays, whose keys are their indices.  Of an array, zeros that the other
    side does not name count for nothing.
    """
    was, now = entries(left), entries(right)
    lines = []
    for key in [*was, *(key for key in now if key not in was)]:
        if key not in now:
            if not (_is_array(left) and _is_zero(was[key])):
                lines.append(f"  [{key!r}]: {was[key]!r}, only on the left")
        elif key not in was:
            if not (_is_array(right) and _is_zero(now[key])):
                lines.append(f"  [{key!r}]: {now[key]!r}, only on the right")
        elif was[key] != now[key]:
            lines.append(f"  [{key!r}]: {was[key]!r} → {now[key]!r}")
    return _shortened(lines)


def entries(source: Any) -> dict[Any, Any]:  # noqa: ANN401 (as above)
    """What a map, a dict or a list holds, by key or index."""
    return dict(enumerate(source)) if _is_array(source) else dict(source.items())


def filled(source: Any, most: int) -> dict[Any, Any]:  # noqa: ANN401 (as above)
    """The first entries of a map, of an array those that are not zero."""
    found = {}
    pairs = enumerate(source) if _is_array(source) else source.items()
    for key, value in pairs:
        if not (_is_array(source) and _is_zero(value)):
            found[key] = value
            if len(found) >= most:
                break
    return found


def _is_array(source: object) -> bool:
    return not hasattr(source, "items")


def _is_zero(value: Any) -> bool:  # noqa: ANN401 (whatever a map holds)
    if isinstance(value, Mapping):
        return all(map(_is_zero, value.values()))
    if isinstance(value, bytes):
        return not any(value)
    parts = isinstance(value, list | tuple) or hasattr(value, "_fields")  # a structure's record
    return all(map(_is_zero, value)) if parts else not value


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST
    return [*lines[:MOST], f"  … and {more} more"] if more > 0 else lines
