"""When a type of an object and a type of the kernel are taken for the same (CO-RE).

Names count without a flavour: `task_struct___old` is `task_struct`.  Three relations, from weak to
strong, are those that libbpf documents for its users:

fields    of an accessed field: kinds fit, sizes may differ
exist     `bpf_core_type_exists`: the same kind all the way down, members are not looked at
match     `bpf_core_type_matches`: every member and value that the object knows is there
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from drybpf.errors import ObjectError
from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf, without_flavour

DEEPEST = 32  # types behind types
MOST_COMPARED = 1 << 20  # pairs of types of all questions; members and parameters multiply them


def candidates(local: t.BtfType, target: Btf) -> Iterator[int]:
    """The ids of the target's types that have the name and kind of a local one."""
    name = without_flavour(local.name)
    for type_id in target.essentially_named(name) if name else ():
        if same_kind(local, target.types[type_id]):
            yield type_id


def same_kind(local: t.BtfType, other: t.BtfType) -> bool:
    """Whether two types are of a kind; struct and union are two kinds."""
    if isinstance(local, t.Struct) and isinstance(other, t.Struct):
        return local.union == other.union
    return type(local) is type(other)


@dataclass
class Relations:
    """The relations between the types of an object and those of a target."""

    local: Btf
    target: Btf
    _matches: dict[tuple[int, int, bool], bool] = field(default_factory=dict)
    _left: int = MOST_COMPARED

    def fields(self, local_id: int, target_id: int) -> bool:
        """Whether an accessed field of one type may be found as one of the other."""
        for _ in range(DEEPEST):
            local, other = self.local.resolve(local_id), self.target.resolve(target_id)
            if isinstance(local, t.Struct) and isinstance(other, t.Struct):
                return True
            if isinstance(local, t.Array) and isinstance(other, t.Array):
                local_id, target_id = local.element, other.element
                continue
            if isinstance(local, t.Int) and isinstance(other, t.Int):
                return not local.offset and not other.offset
            if isinstance(local, t.Enum | t.Forward) and same_kind(local, other):
                names = without_flavour(local.name), without_flavour(other.name)
                return not all(names) or names[0] == names[1]
            return isinstance(local, t.Pointer | t.Float) and same_kind(local, other)
        return False

    def exist(self, local_id: int, target_id: int, depth: int = 0) -> bool:
        """Whether one type exists as the other; an `ObjectError` where they are too intricate."""
        self._count()
        for _ in range(DEEPEST):
            local, other = self.local.resolve(local_id), self.target.resolve(target_id)
            if not same_kind(local, other) or depth > DEEPEST:
                return False
            if isinstance(local, t.Pointer) and isinstance(other, t.Pointer):
                local_id, target_id = local.target, other.target
            elif isinstance(local, t.Array) and isinstance(other, t.Array):
                local_id, target_id = local.element, other.element
            elif isinstance(local, t.Int) and isinstance(other, t.Int):
                return not local.offset and not other.offset
            elif isinstance(local, t.Prototype) and isinstance(other, t.Prototype):
                return len(local.parameters) == len(other.parameters) and all(
                    self.exist(mine, its, depth + 1) for mine, its in _signatures(local, other)
                )
            else:
                return True
        return False

    def match(self, local_id: int, target_id: int, depth: int = 0, *, behind: bool = False) -> bool:
        """Whether one type has all that the other has; `behind` a pointer names are enough.

        Raises `ObjectError` where they are too intricate.
        """
        self._count()
        key = (local_id, target_id, behind)
        if key not in self._matches:
            self._matches[key] = True  # of a type that leads back to itself
            self._matches[key] = depth <= DEEPEST and self._match(
                local_id, target_id, behind=behind, depth=depth
            )
        return self._matches[key]

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ObjectError(f".BTF.ext: CO-RE asks for more than {MOST_COMPARED} comparisons")

    def _match(self, local_id: int, target_id: int, *, behind: bool, depth: int) -> bool:
        local, other = self.local.resolve(local_id), self.target.resolve(target_id)
        if without_flavour(local.name) != without_flavour(other.name):
            return False
        if isinstance(local, t.Struct | t.Forward) and isinstance(other, t.Struct | t.Forward):
            if isinstance(local, t.Struct) and isinstance(other, t.Struct) and not behind:
                return local.union == other.union and self._members(local, other, depth)
            return local.union == other.union and (behind or same_kind(local, other))
        if isinstance(local, t.Enum) and isinstance(other, t.Enum):
            return {name for name, _ in local.values} <= {name for name, _ in other.values}
        if isinstance(local, t.Int) and isinstance(other, t.Int):
            return (local.size, local.signed) == (other.size, other.signed)
        if isinstance(local, t.Pointer) and isinstance(other, t.Pointer):
            return self.match(local.target, other.target, depth + 1, behind=True)
        if isinstance(local, t.Array) and isinstance(other, t.Array):
            same = local.count == other.count
            return same and self.match(local.element, other.element, depth + 1)
        if isinstance(local, t.Prototype) and isinstance(other, t.Prototype):
            return len(local.parameters) == len(other.parameters) and all(
                self.match(mine, its, depth + 1) for mine, its in _signatures(local, other)
            )
        return same_kind(local, other)

    def _members(self, local: t.Struct, other: t.Struct, depth: int) -> bool:
        known: dict[str, list[int]] = {}
        for member in other.members:
            known.setdefault(member.name, []).append(member.type)
        return all(
            any(self.match(member.type, its, depth + 1) for its in known.get(member.name, ()))
            for member in local.members
        )


def _signatures(local: t.Prototype, other: t.Prototype) -> Iterator[tuple[int, int]]:
    yield local.result, other.result
    for (_, mine), (_, its) in zip(local.parameters, other.parameters, strict=True):
        yield mine, its
