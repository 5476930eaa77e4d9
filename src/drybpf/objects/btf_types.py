"""The nineteen kinds of BTF types as frozen values.

Other types are named by id, the index in `Btf.types`; id 0 is `void`.  Sizes are in bytes,
offsets of members in bits.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Void:
    """No type: what `void *` points to."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Int:
    """An integer of `bits` bits at bit `offset` of `size` bytes."""

    name: str
    size: int
    bits: int
    offset: int
    signed: bool
    char: bool
    boolean: bool


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer to the type `target`."""

    name: str
    target: int


@dataclass(frozen=True, slots=True)
class Array:
    """`count` elements; `index` is the type of its index, an integer."""

    name: str
    element: int
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure; `bits` is the width of a bit field, else 0."""

    name: str
    type: int
    offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class Struct:
    """A structure, or a union where `union` is set."""

    name: str
    size: int
    members: tuple[Member, ...]
    union: bool


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration (of 8 bytes where the kind is ENUM64): names with their values."""

    name: str
    size: int
    signed: bool
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """A structure or union that is declared, not defined."""

    name: str
    union: bool


@dataclass(frozen=True, slots=True)
class Typedef:
    """Another name for the type `target`."""

    name: str
    target: int


@dataclass(frozen=True, slots=True)
class Modifier:
    """`kind` is `volatile`, `const`, `restrict` or `type_tag`; only the last has a name."""

    name: str
    kind: str
    target: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function; `linkage` is 0 static, 1 global, 2 extern; `prototype` its type."""

    name: str
    prototype: int
    linkage: int


@dataclass(frozen=True, slots=True)
class Prototype:
    """A function's type: the result and the parameters as names and types."""

    name: str
    result: int
    parameters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A global variable; `linkage` is 0 static, 1 global, 2 extern."""

    name: str
    type: int
    linkage: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A variable's place in its section."""

    variable: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class DataSection:
    """A section with its variables."""

    name: str
    size: int
    variables: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Float:
    """A floating-point number."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class DeclarationTag:
    """A remark on a type, or on its member or parameter `component` (-1: on the whole)."""

    name: str
    target: int
    component: int


BtfType = (
    Void
    | Int
    | Pointer
    | Array
    | Struct
    | Enum
    | Forward
    | Typedef
    | Modifier
    | Function
    | Prototype
    | Variable
    | DataSection
    | Float
    | DeclarationTag
)
