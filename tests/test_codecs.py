"""Between C values and Python's: every kind of type, both ways, and what does not fit."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btf_writer import BtfWriter
from drybpf.errors import ObjectError
from drybpf.maps import Codec
from drybpf.objects.btf import read_btf
from drybpf.objects.codecs import (
    Boolean,
    Enumeration,
    EnumValue,
    Field,
    Floating,
    Integer,
    Octets,
    Repeated,
    Structure,
    Text,
)
from drybpf.objects.records import Record
from drybpf.objects.typed import DEEPEST, Types

U8, U16, U32, U64, S16 = (
    Integer(1),
    Integer(2),
    Integer(4),
    Integer(8),
    Integer(2, signed=True),
)
COLOUR = Enumeration("colour", 4, True, {"RED": 0, "BLUE": -3}, {0: "RED", -3: "BLUE"})
POINT = Structure("point", 4, {"x": Field(S16, 0), "y": Field(S16, 2)})
FLOW = Structure(
    "flow",
    16,
    {
        "address": Field(U32, 0),
        "points": Field(Repeated(POINT, 2), 4),
        "low": Field(U8, 8 * 12, bits=3),
        "high": Field(Integer(1, signed=True), 8 * 12 + 3, bits=5, signed=True),
        "name": Field(Text(2), 14),
    },
)


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        (U16, 0x1234, b"\x34\x12"),
        (S16, -2, b"\xfe\xff"),
        (Integer(16), 1 << 127, bytes(15) + b"\x80"),
        (Boolean(), True, b"\1"),
        (COLOUR, -3, b"\xfd\xff\xff\xff"),
        (Floating(8), 1.5, b"\0\0\0\0\0\0\xf8\x3f"),
        (Floating(4), -0.25, b"\0\0\x80\xbe"),
        (Text(6), "héy", b"h\xc3\xa9y\0\0"),
        (Text(4), "a\udcffb", b"a\xffb\0"),
        (Text(4), "a\0b", b"a\0b\0"),
        (Octets(2), b"\1\2", b"\1\2"),
        (Repeated(U16, 2), (1, 2), b"\1\0\2\0"),
        (Repeated(Repeated(U8, 2), 2), ((1, 2), (3, 4)), b"\1\2\3\4"),
        (POINT, {"x": 1, "y": -1}, b"\1\0\xff\xff"),
    ],
)
def test_there_and_back(codec: Codec, value: object, data: bytes) -> None:
    assert codec.pack(value) == data
    assert codec.unpack(data) == value
    assert codec.pack(codec.unpack(data)) == data
    assert codec.pack(data) == codec.pack(bytearray(data)) == codec.pack(memoryview(data)) == data
    assert codec.size == len(data)


@pytest.mark.parametrize(
    ("codec", "value", "error", "reason"),
    [
        (U16, 65536, ValueError, "65536 does not fit into 16 bits, unsigned"),
        (U16, -1, ValueError, "unsigned"),
        (S16, 32768, ValueError, "signed"),
        (U16, 1.0, TypeError, "float"),
        (U16, "1", TypeError, "str"),
        (U16, None, TypeError, "NoneType"),
        (U16, b"\1", ValueError, "2 bytes are wanted, not 1"),
        (Boolean(), 2, ValueError, "true or false, not 2"),
        (COLOUR, "GREEN", ValueError, "no value is called 'GREEN'; there are RED, BLUE"),
        (Floating(4), "1", TypeError, "a number is wanted"),
        (Floating(4), 1e300, ValueError, "does not fit"),
        (Text(2), "abc", ValueError, "3 bytes do not fit"),
        (Text(2), 5, TypeError, "int"),
        (Octets(2), b"\1", ValueError, "2 bytes are wanted, not 1"),
        (Octets(2), (1, 2, 3), ValueError, "2 bytes are wanted, not 3"),
        (Octets(2), (1, 256), ValueError, "range"),
        (Octets(2), 7, TypeError, "int"),
        (Repeated(U16, 2), (1,), ValueError, "2 elements are wanted, not 1"),
        (Repeated(U16, 2), {1, 2}, TypeError, "set"),
        (Repeated(U16, 2), {1: 2}, TypeError, "dict"),
        (Repeated(U16, 2), iter([1, 2]), TypeError, "iterator"),
        (POINT, {"z": 1}, TypeError, "struct point has no field 'z'; it has x, y"),
        (POINT, {"x": 1 << 15}, ValueError, "x: 32768 does not fit"),
        (POINT, (1,), ValueError, "struct point has 2 fields, not 1"),
        (POINT, 5, TypeError, "int"),
        (POINT, "xy", TypeError, "str"),
        (FLOW, {"low": 8}, ValueError, "low: 8 does not fit into a bit field of 3 bits"),
        (FLOW, {"high": -17}, ValueError, "bit field of 5 bits"),
    ],
)
def test_what_does_not_fit(codec: Codec, value: object, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason.replace("(", r"\(")):
        codec.pack(value)


def test_a_record() -> None:
    flow = FLOW.unpack(FLOW.pack({"address": 9, "points": [(1, 2), {"x": 3}], "high": -1}))
    assert (flow.address, flow.low, flow.high, flow.name) == (9, 0, -1, "")
    assert flow.points == ((1, 2), (3, 0))
    assert flow["address"] == 9
    assert repr(flow.points[0]) == "point(x=1, y=2)"
    assert flow._fields == ("address", "points", "low", "high", "name")
    assert flow._asdict() == {
        "address": 9, "points": ({"x": 1, "y": 2}, {"x": 3, "y": 0}), "low": 0, "high": -1,
        "name": "",
    }  # fmt: skip
    changed = flow._replace(low=5, name="ab")
    assert (changed.low, changed.high, changed.name, flow.low) == (5, -1, "ab", 0)
    assert len(flow) == 5
    address, *_ = flow
    assert address == 9
    assert {"address", "points", "_replace"} <= set(dir(flow))


def test_records_compare_and_hash_by_values_not_by_padding() -> None:
    one = FLOW.unpack(bytes(16))
    other = FLOW.unpack(bytes(13) + b"\7\0\0")  # a byte that no field has
    assert bytes(one) != bytes(other)
    assert one == other
    assert hash(one) == hash(other)
    assert one != FLOW.unpack(b"\1" + bytes(15))
    assert POINT.unpack(b"\1\0\2\0") == (1, 2) == POINT.unpack(b"\1\0\2\0")
    assert POINT.unpack(b"\1\0\2\0") == {"x": 1, "y": 2}
    assert POINT.unpack(bytes(4)) != 0
    assert POINT.unpack(bytes(4)) != {"x": 0}
    assert min(POINT.unpack(b"\2\0\0\0"), POINT.unpack(b"\1\0\5\0")) == (1, 5)
    with pytest.raises(TypeError):
        _ = POINT.unpack(bytes(4)) < 5


def test_what_was_read_is_written_back_with_its_padding() -> None:
    data = bytes(range(16))
    assert FLOW.pack(FLOW.unpack(data)) == data


def test_records_cannot_be_changed_and_say_what_they_have() -> None:
    point = POINT.unpack(bytes(4))
    with pytest.raises(AttributeError, match=r"use _replace\(x=…\)"):
        point.x = 5
    with pytest.raises(AttributeError, match="struct point has no field 'z'; it has x, y"):
        _ = point.z
    with pytest.raises(KeyError):
        _ = point["z"]
    with pytest.raises(TypeError, match="no field 'z'"):
        point._replace(z=1)


def test_records_are_copied_and_pickled() -> None:
    point = POINT.unpack(b"\1\0\2\0")
    for twin in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):  # noqa: S301
        assert twin == point
        assert POINT.pack(twin) == bytes(point)
    value = COLOUR.unpack(b"\xfd\xff\xff\xff")
    assert pickle.loads(pickle.dumps(value)).name == "BLUE"  # noqa: S301 (our own)


def test_a_record_of_another_object_with_the_same_names() -> None:
    longer = Structure("point", 8, {"x": Field(Integer(4, signed=True), 0), "y": Field(U32, 4)})
    assert longer.pack(POINT.unpack(b"\xff\xff\2\0")) == b"\xff\xff\xff\xff\2\0\0\0"


def test_unions() -> None:
    either = Structure("u", 4, {"word": Field(U32, 0), "bytes": Field(Octets(4), 0)}, union=True)
    value = either.unpack(b"\1\2\3\4")
    assert (value.word, value.bytes) == (0x04030201, b"\1\2\3\4")
    assert either.pack({"word": 5}) == b"\5\0\0\0"
    assert either.pack({"bytes": b"abcd"}) == b"abcd"
    assert either.pack(value._asdict()) == b"\1\2\3\4"
    assert str(either) == "union u"


def test_values_of_enumerations() -> None:
    known, unknown = COLOUR.unpack(b"\xfd\xff\xff\xff"), COLOUR.unpack(b"\7\0\0\0")
    assert (known.name, known, repr(known)) == ("BLUE", -3, "BLUE (-3)")
    assert (unknown.name, unknown, str(unknown)) == ("", 7, "7")
    assert COLOUR.pack("BLUE") == COLOUR.pack(known) == b"\xfd\xff\xff\xff"
    assert json.dumps([known]) == "[-3]"
    assert isinstance(known, EnumValue)


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        (U32, "u32"), (S16, "s16"), (Boolean(), "bool"), (COLOUR, "enum colour"),
        (Floating(8), "f64"), (Text(16), "char[16]"), (Octets(6), "u8[6]"),
        (Repeated(Repeated(U16, 3), 2), "u16[2][3]"), (Repeated(Octets(6), 4), "u8[4][6]"),
        (FLOW, "struct flow"), (Repeated(POINT, 2), "struct point[2]"),
    ],
)  # fmt: skip
def test_how_c_calls_it(codec: Codec, name: str) -> None:
    assert str(codec) == name


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.integers(1, 64).flatmap(
        lambda bits: st.tuples(
            st.just(bits), st.integers(0, 40), st.booleans(), st.integers(0, 2**bits - 1)
        )
    ),
    st.binary(min_size=16, max_size=16),
)
def test_bit_fields_of_all_widths_and_places(
    facts: tuple[int, int, bool, int], before: bytes
) -> None:
    bits, offset, signed, number = facts
    value = number - (1 << bits) if signed and number >> bits - 1 else number
    layout = Structure(
        "s", 16, {"f": Field(Integer(8, signed=signed), offset, bits=bits, signed=signed)}
    )
    after = layout.change(before, {"f": value})
    assert layout.unpack(after).f == value
    mask = ((1 << bits) - 1) << offset
    old, new = int.from_bytes(before, "little"), int.from_bytes(after, "little")
    assert old & ~mask == new & ~mask


# From BTF


def codec_of(writer: BtfWriter, type_id: int) -> Any:  # noqa: ANN401 (any codec)
    return Types(read_btf(writer.build())).codec(type_id)


def integer(
    writer: BtfWriter, name: str = "int", size: int = 4, *, encoding: int = 0, bits: int = 0
) -> int:
    return writer.type(1, name, size, [encoding << 24 | (bits or 8 * size)])


def test_every_kind_of_type() -> None:
    w = BtfWriter()
    u32, s32 = integer(w, "unsigned int"), integer(w, encoding=1)
    assert (codec_of(w, u32), codec_of(w, s32)) == (Integer(4), Integer(4, signed=True))
    assert codec_of(w, integer(w, "_Bool", 1, encoding=4)) == Boolean(1)
    char, signed, octet = (
        integer(w, "char", 1, encoding=1),
        integer(w, "signed char", 1, encoding=1),
        integer(w, "unsigned char", 1),
    )
    for element, wanted in (
        (char, Text(5)),
        (octet, Octets(5)),
        (signed, Repeated(Integer(1, signed=True), 5)),
        (w.type(10, "", w.type(8, "u8", octet)), Octets(5)),  # const u8
    ):
        assert codec_of(w, w.type(3, "", 0, [element, u32, 5])) == wanted
    assert codec_of(w, w.type(2, "", 0)) == Integer(8)  # void *
    assert codec_of(w, w.type(16, "double", 8)) == Floating(8)
    assert codec_of(w, w.type(16, "long double", 16)) == Octets(16)
    name = w.string("A")
    assert (
        codec_of(w, w.type(6, "e", 4, [name, -1], vlen=1, flag=1)).unpack(b"\xff" * 4).name == "A"
    )
    wide = codec_of(w, w.type(19, "e", 8, [name, 0, 1], vlen=1))
    assert wide.unpack(b"\0\0\0\0\1\0\0\0").name == "A"
    for modifier in (8, 9, 10, 11, 18):  # typedef, volatile, const, restrict, type_tag
        assert codec_of(w, w.type(modifier, "m", u32)) == Integer(4)
    assert codec_of(w, w.type(14, "v", u32, [1])) == Integer(4)
    for without in (0, w.type(7, "fwd"), w.type(13, "", 0), w.type(12, "f", w.type(13, "", 0))):
        with pytest.raises(ObjectError, match="has no size"):
            codec_of(w, without)


def test_structures_with_anonymous_members_and_both_forms_of_bit_fields() -> None:
    w = BtfWriter()
    u32, old = integer(w, "unsigned int"), integer(w, "old", bits=5)
    inner = w.type(4, "", 8, [w.string("a"), u32, 0, w.string("b"), u32, 32], vlen=2)
    union = w.type(5, "", 8, [w.string("whole"), w.type(2, "", 0), 0, 0, inner, 0], vlen=2)
    outer = w.type(
        4, "s", 16,
        [w.string("first"), u32, 0, 0, union, 32, w.string("bits"), old, 96],
        vlen=3,
    )  # fmt: skip
    value = codec_of(w, outer).unpack(bytes(range(16)))
    assert value._fields == ("first", "whole", "a", "b", "bits")
    assert (value.a, value.b) == (0x07060504, 0x0B0A0908)
    assert value.bits == 12
    flagged = w.type(4, "t", 4, [w.string("x"), u32, 3 << 24 | 2], vlen=1, flag=1)
    assert codec_of(w, flagged).unpack(b"\x14\0\0\0").x == 5


@pytest.mark.parametrize(
    ("members", "size"),
    [
        ([("x", 8, 32)], 4),  # behind the end
        ([("x", 8 * 2**20, 0)], 4),
        ([("", 8 * 4, 0)], 4),  # an anonymous one behind the end
    ],
)
def test_members_outside_their_structure(members: list[tuple[str, int, int]], size: int) -> None:
    w = BtfWriter()
    u32 = integer(w)
    inner = w.type(4, "", 4, [w.string("a"), u32, 0], vlen=1)
    extra = [
        value
        for name, offset, bits in members
        for value in (w.string(name), u32 if name else inner, bits << 24 | offset)
    ]
    with pytest.raises(ObjectError, match="outside"):
        codec_of(w, w.type(4, "s", size, extra, vlen=len(members), flag=1))


def test_types_that_hold_themselves_or_are_too_deep_or_large() -> None:
    w = BtfWriter()
    with pytest.raises(ObjectError, match="nested deeper"):
        codec_of(w, w.type(4, "s", 4, [w.string("s"), 1, 0], vlen=1))
    w = BtfWriter()
    inner = integer(w)
    for _ in range(DEEPEST + 2):
        inner = w.type(4, "s", 4, [w.string("s"), inner, 0], vlen=1)
    with pytest.raises(ObjectError, match="nested deeper"):
        codec_of(w, inner)
    w = BtfWriter()
    u32 = integer(w)
    with pytest.raises(ObjectError, match="has 17179869180 bytes"):
        codec_of(w, w.type(3, "", 0, [u32, u32, 2**32 - 1]))
    empty = w.type(4, "empty", 0)
    assert codec_of(w, w.type(3, "", 0, [empty, u32, 2**32 - 1])).unpack(b"") == b""


def test_a_record_says_which_it_is() -> None:
    assert repr(Record(Structure("", 4, {"a": Field(U32, 0)}), bytes(4))) == "record(a=0)"


def test_anonymous_structures_do_not_multiply() -> None:
    """So many of them with so many fields, all in the same four bytes."""
    count = 5_000
    writer = BtfWriter()
    number = writer.type(1, "int", 4, [32])
    members = [word for index in range(count) for word in (writer.string(f"f{index}"), number, 0)]
    inner = writer.type(5, "", 4, members, vlen=count)
    outer = writer.type(5, "u", 4, [0, inner, 0] * count, vlen=count)
    with pytest.raises(ObjectError, match="anonymous structures have more than"):
        Types(read_btf(writer.build())).codec(outer)


@pytest.mark.parametrize("size", [4, 0])
def test_unions_that_double_at_each_level_are_bytes(size: int) -> None:
    """Shown one by one, the values of 30 levels would take hours."""
    w = BtfWriter()
    inner = integer(w) if size else w.type(4, "empty", 0)
    for _ in range(30):
        inner = w.type(5, "u", size, [w.string("a"), inner, 0, w.string("b"), inner, 0], vlen=2)
    value = codec_of(w, inner).unpack(bytes(size))
    assert repr(value)
    assert value == codec_of(w, inner).unpack(bytes(size))
    u32 = integer(w)
    assert codec_of(w, w.type(3, "", 0, [u32, u32, 1 << 20])) == Repeated(Integer(4), 1 << 20)


def test_a_field_whose_name_begins_as_a_special_one() -> None:
    """As in the kernel's `__sk_common`."""
    record = Structure("s", 4, {"__common": Field(U32, 0)}).unpack(b"\5\0\0\0")
    assert record.__common == 5
    with pytest.raises(AttributeError):
        _ = record.__nothing__
    assert copy.deepcopy(record) == record
