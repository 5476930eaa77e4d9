"""Values of keys, maps and variables as text: read from the command line, shown in tables and JSON.

text                                 what it is
12, 0x0c, -1, 1.5, true              a number, or true or false
XDP_PASS                             a value of an enumeration, by its name
"text", text                         of a char[n]
0x020000000001                       bytes in the order of memory, where just so many are wanted
10.0.0.1, 2001:db8::1, 02:00:00:00:00:01   an address, in network order, where it has the size
{"port": 80, "mac": "0x02…"}, [1, 2] structures and arrays, as JSON; their strings are read as above

A name with a colon or comma in it goes into quotes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from math import isfinite
from typing import Any

import click

from drybpf.maps import Codec, Map, RawBytes
from drybpf.objects.codecs import Octets, Repeated, Structure, Text
from drybpf.objects.records import Record
from drybpf.program import Program

_BRACKETS = {"{": "}", "[": "]"}
_MAC = 6  # bytes


def read_value(text: str, codec: Codec) -> Any:  # noqa: ANN401 (of the codec's type)
    """The value that a text stands for; raises `ValueError` or `TypeError` where it is none."""
    text = text.strip()
    if text[:1] in ("{", "[", '"'):
        try:
            return from_json(json.loads(text), codec)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{text!r} is no JSON: {error}") from error
    return _plain(text, codec)


def from_json(value: Any, codec: Codec) -> Any:  # noqa: ANN401 (as above)
    """A value as it stands in JSON, with its strings read by their types."""
    if isinstance(value, str):
        return _plain(value, codec)
    if isinstance(value, dict) and isinstance(codec, Structure):
        inner = {name: field.codec for name, field in codec.fields.items()}
        return {
            name: from_json(part, inner[name]) if name in inner else part
            for name, part in value.items()
        }
    if isinstance(value, list) and isinstance(codec, Repeated):
        return [from_json(part, codec.element) for part in value]
    return value


def _plain(text: str, codec: Codec) -> Any:  # noqa: ANN401 (as above)
    if isinstance(codec, Text):
        return text
    if (octets := _octets(text)) is not None and len(octets) == codec.size:
        return octets
    if isinstance(codec, Octets | RawBytes) and text.lower().startswith("0x"):
        digits = text[2:]
        if len(digits) == 2 * codec.size:
            return bytes.fromhex(digits)
    if text in ("true", "false"):
        return text == "true"
    for number in (lambda: int(text, 0), lambda: float(text)):
        try:
            return number()
        except ValueError:
            continue
    return text  # the name of a value, or what the codec will refuse


def _octets(text: str) -> bytes | None:
    """The bytes of an Internet or Ethernet address; None for anything else."""
    try:
        return ip_address(text).packed
    except ValueError:
        pass
    parts = text.split(":")
    if len(parts) == _MAC and all(len(part) == 2 for part in parts):
        try:
            return bytes.fromhex("".join(parts))
        except ValueError:
            pass
    return None


def split(text: str, at: str) -> list[str]:
    """The parts of a text between separators that are not within brackets or quotes."""
    parts, depth, quoted, begin = [], 0, False, 0
    for place, character in enumerate(text):
        if character == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif character in _BRACKETS:
            depth += 1
        elif character in _BRACKETS.values():
            depth -= 1
        elif character == at and not depth:
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]


def assignment(text: str, option: str) -> tuple[str, str]:
    """Name and value of an option like `limit=3`; raises `UsageError` without `=`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{option} {text!r} is not NAME=VALUE")
    return name, value


def to_json(value: object) -> object:
    """A value for `json.dumps`: bytes in hexadecimal, programs and maps by their names."""
    match value:
        case Record():
            return {name: to_json(part) for name, part in zip(value._fields, value, strict=True)}
        case bytes() | bytearray():
            return "0x" + value.hex()
        case Map() | Program():
            return value.name
        case Mapping():
            return {str(key): to_json(part) for key, part in value.items()}
        case float() if not isfinite(value):  # JSON has no such numbers
            return str(value)
        case str() | bool() | float() | None:
            return value
        case int():
            return int(value)
        case Sequence():
            return [to_json(part) for part in value]
        case _:
            return str(value)


def to_text(value: object) -> str:
    """A value for a table: as in JSON, but for names of enumerations."""
    match value:
        case Record():
            parts = zip(value._fields, value, strict=True)
            return "{" + ", ".join(f"{name}: {to_text(part)}" for name, part in parts) + "}"
        case bytes() | bytearray():
            return "0x" + value.hex()
        case Map() | Program():
            return value.name
        case str():
            return json.dumps(value)
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return "[" + ", ".join(map(to_text, value)) + "]"
        case _:
            return str(value)


def type_name(codec: Codec | None) -> str:
    """How C calls a type: `u32`, `struct flow`, `char[16]`; empty for bytes without a type."""
    return str(codec) if codec is not None and type(codec).__str__ is not object.__str__ else ""
