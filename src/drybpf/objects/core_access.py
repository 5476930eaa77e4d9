"""Walks from a type to one of its fields, in the object's types and in a target's (CO-RE).

An access string `0:2:1` begins with the index of the value in an array of them, then goes down by
the indices of members and elements.
"""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.errors import ObjectError
from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf
from drybpf.objects.core_types import DEEPEST, Relations

_LONGEST = 64  # steps of a walk
_BITS = 8


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a walk: into a member by name, or with no name to an element by index.

    `type` is the type that is reached.
    """

    name: str
    index: int
    type: int


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk ends: at a type, `bit` bits behind the start; `bits` wide in a bit field."""

    steps: tuple[Step, ...]
    type: int
    bit: int
    bits: int = 0


def walk(btf: Btf, type_id: int, access: str) -> Walk:
    """Follow an access string; raises `ObjectError` where it leads nowhere."""
    try:
        indices = [int(part) for part in access.split(":")]
    except ValueError as error:
        raise ObjectError(f".BTF.ext: the access {access!r} is no list of numbers") from error
    if len(indices) > _LONGEST or min(indices) < 0:
        raise ObjectError(f".BTF.ext: the access {access!r} leads nowhere")
    bit, bits = indices[0] * btf.size_of(type_id) * _BITS if indices[0] else 0, 0
    steps = [Step("", indices[0], type_id)]
    last = True  # whether what has been entered so far ends the whole
    for index in indices[1:]:
        found, bits = btf.resolve(type_id), 0
        if isinstance(found, t.Struct) and index < len(found.members):
            member = found.members[index]
            bit, bits, type_id = bit + member.offset, member.bits, member.type
            last = last and (found.union or index == len(found.members) - 1)
            if member.name:
                steps.append(Step(member.name, index, type_id))
        elif isinstance(found, t.Array) and _within(found, index, last=last):
            type_id = found.element
            bit += index * btf.size_of(type_id) * _BITS
            steps.append(Step("", index, type_id))
        else:
            raise ObjectError(f".BTF.ext: the access {access!r} leads nowhere in {found.name!r}")
    return Walk(tuple(steps), type_id, bit, bits)


def follow(steps: tuple[Step, ...], relations: Relations, candidate: int) -> Walk | None:
    """Take the same steps from a type of the target; None where there is no such way."""
    target = relations.target
    first, *others = steps
    type_id = candidate
    bit, bits = first.index * target.size_of(candidate) * _BITS if first.index else 0, 0
    last = True
    for step in others:
        found, bits = target.resolve(type_id), 0
        if step.name:
            place = _named(target, type_id, step.name)
            if place is None or not relations.fields(step.type, place.type):
                return None
            bit, bits, type_id = bit + place.offset, place.bits, place.type
            last = isinstance(found, t.Struct) and bool(found.members) and last
        elif isinstance(found, t.Array) and _within(found, step.index, last=last):
            type_id = found.element
            bit += step.index * target.size_of(type_id) * _BITS
        else:
            return None
    return Walk(steps, type_id, bit, bits)


def _within(array: t.Array, index: int, *, last: bool) -> bool:
    """Whether an array has such an element; one at the end of a structure may be longer."""
    return index < array.count or (last and array.count <= 1)


def _named(btf: Btf, type_id: int, name: str) -> t.Member | None:
    """A member of that name, those of structures without a name included; None where none is."""
    return _find(btf, type_id, name, set(), 0)


def _find(btf: Btf, type_id: int, name: str, searched: set[int], depth: int) -> t.Member | None:
    """The same; types in `searched` have none, and are not looked at again."""
    found = btf.resolve(type_id)
    if type_id in searched or depth >= DEEPEST or not isinstance(found, t.Struct):
        return None
    searched.add(type_id)
    for member in found.members:
        if member.name == name:
            return member
        inner = None if member.name else _find(btf, member.type, name, searched, depth + 1)
        if inner is not None:
            return t.Member(name, inner.type, member.offset + inner.offset, inner.bits)
    return None
