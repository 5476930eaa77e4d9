"""From BTF types to codecs: how Python sees keys, values and variables."""

from __future__ import annotations

from drybpf.errors import ObjectError
from drybpf.maps.codec import Codec
from drybpf.objects import btf_types as t
from drybpf.objects.btf import POINTER_SIZE, Btf
from drybpf.objects.codecs import (
    FLOAT_SIZES,
    Boolean,
    Enumeration,
    Field,
    Floating,
    Integer,
    Octets,
    Repeated,
    Structure,
    Text,
    pieces,
)

DEEPEST = 32  # arrays and structures within each other
LARGEST = 1 << 30  # bytes of a value
MOST_PIECES = 1 << 16  # of a value of fewer bits: unions within unions double them at each level
MOST_FIELDS = 1 << 20  # of structures without a name, put into those around them


class Types:
    """The codecs of an object's types, each made once."""

    def __init__(self, btf: Btf) -> None:
        """Make codecs of these types when they are asked for."""
        self._btf = btf
        self._made: dict[int, Codec] = {}
        self._left = MOST_FIELDS

    def codec(self, type_id: int, depth: int = 0) -> Codec:
        """The codec of a type; bytes for one whose values overlap too often to be shown.

        Raises `ObjectError` where the type has no size, is too large, or does not fit together.
        """
        if type_id not in self._made:
            if depth > DEEPEST:
                raise ObjectError(f".BTF: type {type_id} is nested deeper than {DEEPEST}")
            made = self._make(self._btf.resolve(type_id), depth + 1)
            if made.size > LARGEST:
                raise ObjectError(f".BTF: a value of type {type_id} has {made.size} bytes")
            if pieces(made) > max(MOST_PIECES, 8 * made.size):
                made = Octets(made.size)
            self._made[type_id] = made
        return self._made[type_id]

    def _make(self, found: t.BtfType, depth: int) -> Codec:
        match found:
            case t.Int(boolean=True):
                return Boolean(found.size)
            case t.Int():
                return Integer(found.size, found.signed)
            case t.Pointer():
                return Integer(POINTER_SIZE)
            case t.Enum():
                return enumeration(found)
            case t.Float():
                return Floating(found.size) if found.size in FLOAT_SIZES else Octets(found.size)
            case t.Array():
                return self._array(found, depth)
            case t.Struct():
                return self._structure(found, depth)
            case t.Variable():
                return self.codec(found.type, depth)
            case _:
                raise ObjectError(f".BTF: {found.name or 'a type without a name'} has no size")

    def _array(self, found: t.Array, depth: int) -> Codec:
        element = self._btf.resolve(found.element)
        if isinstance(element, t.Int) and element.size == 1 and not element.boolean:
            if element.char or element.name == "char":
                return Text(found.count)
            if not element.signed:
                return Octets(found.count)
        codec = self.codec(found.element, depth)
        if not codec.size and found.count:
            return Octets(0)  # nothing, however often
        return Repeated(codec, found.count)

    def _structure(self, found: t.Struct, depth: int) -> Codec:
        fields: dict[str, Field] = {}
        for member in found.members:
            if member.name:
                fields[member.name] = self._member(found, member, depth)
            else:
                fields |= self._anonymous(member, found.size, depth)
        return Structure(found.name, found.size, fields, found.union)

    def _member(self, found: t.Struct, member: t.Member, depth: int) -> Field:
        codec = self.codec(member.type, depth)
        offset, bits, signed = member.offset, member.bits, False
        kind = self._btf.resolve(member.type)
        if isinstance(kind, t.Int | t.Enum):
            signed = kind.signed
        if isinstance(kind, t.Int) and not bits and (kind.offset or kind.bits != 8 * kind.size):
            offset, bits = offset + kind.offset, kind.bits  # as bit fields were once written
        if not bits and offset % 8:
            bits = 8 * codec.size if codec.size <= POINTER_SIZE else 0
        width = bits or 8 * codec.size
        if offset + width > 8 * found.size or (bits > 8 * codec.size) or (offset % 8 and not bits):
            raise ObjectError(f".BTF: {member.name!r} lies outside its structure {found.name!r}")
        return Field(codec, offset if bits else offset // 8, bits, signed)

    def _anonymous(self, member: t.Member, size: int, depth: int) -> dict[str, Field]:
        """The fields of a structure without a name, as fields of the one around it."""
        inner = self.codec(member.type, depth)
        if not isinstance(inner, Structure) or member.offset % 8:
            return {}
        begin = member.offset // 8
        if begin + inner.size > size:
            raise ObjectError(".BTF: an anonymous structure lies outside the one around it")
        self._left -= len(inner.fields)
        if self._left < 0:
            raise ObjectError(f".BTF: anonymous structures have more than {MOST_FIELDS} fields")
        return {
            name: Field(
                known.codec,
                known.offset + begin * (8 if known.bits else 1),
                known.bits,
                known.signed,
            )
            for name, known in inner.fields.items()
        }


def enumeration(found: t.Enum) -> Enumeration:
    """The codec of an enumeration; of several names of a value the first one counts."""
    names: dict[int, str] = {}
    for name, value in found.values:
        names.setdefault(value, name)
    return Enumeration(found.name, found.size, found.signed, dict(found.values), names)
