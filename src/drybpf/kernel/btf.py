"""The little BTF that the kernel asks for: where functions begin, where a value has a lock.

It is made here instead of taken from the object, since what compilers write the kernel does not
take as it is: sizes of sections and linkage of functions are for a loader to fill in.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from drybpf.kernel import syscall
from drybpf.kernel.descriptor import Descriptor
from drybpf.kernel.syscall import BtfLoad, Command
from drybpf.maps import Codec

_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_WORD = struct.Struct("<I")
_INT, _STRUCT, _FUNC, _FUNC_PROTO = 1, 4, 12, 13
_NAME_LENGTH = 127  # KSYM_NAME_LEN but for the closing zero byte, before Linux 6.1
FUNC_INFO = struct.Struct("<II")  # slot of the first instruction, type id
# Structures that the kernel knows by name: size and alignment in bytes (include/uapi/linux/bpf.h)
SPECIAL = {
    "bpf_spin_lock": (4, 4),
    "bpf_timer": (16, 8),
    "bpf_wq": (16, 8),
    "bpf_refcount": (4, 4),
    "bpf_list_head": (16, 8),
    "bpf_list_node": (24, 8),
    "bpf_rb_root": (16, 8),
    "bpf_rb_node": (32, 8),
}


@dataclass(frozen=True, slots=True)
class Special:
    """A structure in a map's value with which the kernel has plans, at an offset in bytes."""

    offset: int
    name: str


def special_members(codec: Codec | None, offset: int = 0) -> tuple[Special, ...]:
    """The special members of what a codec shows, as far as it has named fields at offsets."""
    if codec is None:
        return ()
    if (name := getattr(codec, "name", "")) in SPECIAL:
        return (Special(offset, name),)
    found: list[Special] = []
    for field in getattr(codec, "fields", {}).values():
        if not field.bits:
            found += special_members(field.codec, offset + field.offset)
    return tuple(found)


class BtfWriter:
    """Types, numbered from 1 in the order in which they are added."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._types: list[bytes] = []
        self._strings = bytearray(1)

    def integer(self, name: str, size: int) -> int:
        """An unsigned integer."""
        return self._add(name, _INT, 0, size, _WORD.pack(8 * size))

    def structure(self, name: str, size: int, members: Sequence[tuple[str, int, int]]) -> int:
        """A structure; members are name, type id, and offset in bytes."""
        packed = (
            _MEMBER.pack(self._string(member), type_id, 8 * offset)
            for member, type_id, offset in members
        )
        return self._add(name, _STRUCT, len(members), size, b"".join(packed))

    def function(self, name: str, result: int) -> int:
        """A static function without parameters; callers may pass what they like."""
        prototype = self._add("", _FUNC_PROTO, 0, result, b"")
        return self._add(_identifier(name), _FUNC, 0, prototype, b"")

    def to_bytes(self) -> bytes:
        """The section."""
        types = b"".join(self._types)
        places = 0, len(types), len(types), len(self._strings)
        return _HEADER.pack(0xEB9F, 1, 0, _HEADER.size, *places) + types + bytes(self._strings)

    def _add(self, name: str, kind: int, count: int, word: int, rest: bytes) -> int:
        self._types.append(_TYPE.pack(self._string(name), kind << 24 | count, word) + rest)
        return len(self._types)

    def _string(self, text: str) -> int:
        if not text:
            return 0
        self._strings += text.encode() + b"\0"
        return len(self._strings) - len(text.encode()) - 1


def _identifier(name: str) -> str:
    """A name as the kernel takes it, of at most as many characters as any kernel does."""
    written = re.sub(r"\W", "_", name, flags=re.ASCII)[:_NAME_LENGTH]
    return written if written and not written[0].isdigit() else f"_{written[: _NAME_LENGTH - 1]}"


class LoadedBtf(Descriptor):
    """Types that the kernel has taken."""

    def __init__(self, data: bytes) -> None:
        """Load; raises `KernelError`."""
        held = syscall.copy_in(data)
        attributes = BtfLoad(btf=syscall.address(held), btf_size=len(data))
        super().__init__(syscall.bpf(Command.BTF_LOAD, attributes))


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """The functions of a program, as loading takes them."""

    btf: LoadedBtf
    records: bytes


def function_info(functions: Sequence[tuple[int, str]]) -> FunctionInfo:
    """Load types for functions: the slot of the first instruction of each, and its name.

    All are static: the kernel then looks into each at each call, as we do.
    """
    writer = BtfWriter()
    result = writer.integer("int", 4)
    records = [FUNC_INFO.pack(slot, writer.function(name, result)) for slot, name in functions]
    return FunctionInfo(LoadedBtf(writer.to_bytes()), b"".join(records))


@dataclass(frozen=True, slots=True)
class ValueTypes:
    """The types of a map's keys and values, for a map whose values have special members."""

    btf: LoadedBtf
    key: int
    value: int


def value_types(key_size: int, value_size: int, special: Sequence[Special]) -> ValueTypes:
    """Load types for a map: keys, and values of which only the special members are told."""
    writer = BtfWriter()
    words = {size: writer.integer(f"u{8 * size}", size) for size in (4, 8)}
    key = words[4] if key_size == 4 else writer.structure("key", key_size, ())
    kinds: dict[str, int] = {}
    for member in special:
        if member.name not in kinds:
            size, width = SPECIAL[member.name]
            fields = [(f"opaque{place}", words[width], place) for place in range(0, size, width)]
            kinds[member.name] = writer.structure(member.name, size, fields)
    members = [
        (f"special{number}", kinds[member.name], member.offset)
        for number, member in enumerate(sorted(special, key=lambda each: each.offset))
    ]
    value = writer.structure("value", value_size, members)
    return ValueTypes(LoadedBtf(writer.to_bytes()), key, value)
