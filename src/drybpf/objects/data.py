"""The data sections of a loaded object: variables that Python and programs share."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

from drybpf.maps.codec import Codec
from drybpf.memory import Region
from drybpf.objects.variables import DataSource, Variable
from drybpf.space import Space

_LARGE = 1 << 16  # bytes from which on memory is taken from the system, which gives it when used


class Section(MutableMapping[str, Any]):
    """One section: its variables by name, and its bytes as `raw`.

    A read-only section can be set until the first run, then it is frozen.
    """

    def __init__(self, source: DataSource, space: Space) -> None:
        """Place the section in a space."""
        self.source = source
        self.frozen = False
        size = source.size
        self._buffer = mmap.mmap(-1, size) if size > _LARGE else bytearray(size)
        self._view = memoryview(self._buffer)
        self._initial = bytearray(source.image)
        self._view[: len(source.image)] = source.image
        self.region: Region = space.add(source.name, self._buffer, writable=source.writable)

    @property
    def name(self) -> str:
        """The section's name."""
        return self.source.name

    @property
    def raw(self) -> bytes:
        """A copy of the bytes as they are now."""
        return bytes(self._view)

    def address(self, offset: int) -> int:
        """The guest address of a byte."""
        return self.region.start + offset

    @property
    def addresses(self) -> dict[str, int]:
        """The guest address of each variable."""
        variables = self.source.variables.values()
        return {variable.name: self.address(variable.offset) for variable in variables}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (of the variable's type)
        """The value of a variable now; the `KeyError` lists what there is."""
        variable = self._variable(name)
        begin = variable.offset
        return variable.codec.unpack(bytes(self._view[begin : begin + variable.codec.size]))

    def __setitem__(self, name: str, value: object) -> None:
        """Set a variable.

        Raises `TypeError` or `ValueError` for what does not fit its type, and `ValueError` where
        the section is frozen.
        """
        variable = self._variable(name)
        if self.frozen:
            raise ValueError(
                f"{name!r} is in {self.name!r}, which is constant since the first run; "
                "set it before, or load the object again"
            )
        packed = variable.codec.pack(value)
        self._view[variable.offset : variable.offset + len(packed)] = packed

    def __delitem__(self, name: str) -> None:
        """Refuse."""
        raise TypeError(f"the variable {name!r} cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the addresses."""
        return iter(self.source.variables)

    def __len__(self) -> int:
        """How many variables there are."""
        return len(self.source.variables)

    def put(self, offset: int, data: bytes) -> None:
        """Put bytes that the loader knows into the section as it is at the beginning."""
        self._initial.extend(bytes(max(0, offset + len(data) - len(self._initial))))
        self._initial[offset : offset + len(data)] = data
        self._view[offset : offset + len(data)] = data

    def reset(self) -> None:
        """Bring the section back to its first content, but for a frozen one."""
        if not self.frozen:
            self._view[:] = bytes(len(self._view))
            self._view[: len(self._initial)] = self._initial

    def freeze(self) -> None:
        """Refuse changes from now on where programs see the section as constant."""
        self.frozen = not self.source.writable

    def _variable(self, name: str) -> Variable:
        variable = self.source.variables.get(name)
        if variable is None:
            known = ", ".join(self.source.variables) or "none"
            raise KeyError(f"no variable {name!r} in {self.name!r}; there is {known}")
        return variable

    def __repr__(self) -> str:
        """`<.bss: 2 variables: packets, bytes>`."""
        names = ", ".join(self)
        return f"<{self.name}: {len(self)} variable{'s' * (len(self) != 1)}: {names or 'none'}>"


class Data(MutableMapping[str, Any]):
    """All variables of an object by name: `obj.data["limit"] = 3`, `obj.data.limit`.

    Values are copies: a record or tuple is changed by storing another.  Where two sections have a
    variable of the same name the first one is meant; `sections[".bss"]` has the other.
    """

    def __init__(self, sections: Iterable[Section]) -> None:
        """Gather the variables of the sections."""
        by_name: dict[str, Section] = {}
        homes: dict[str, Section] = {}
        for section in sections:
            by_name.setdefault(section.name, section)
            for name in section:
                homes.setdefault(name, section)
        vars(self).update(_sections=MappingProxyType(by_name), _homes=homes)

    _sections: Mapping[str, Section]
    _homes: Mapping[str, Section]

    @property
    def sections(self) -> Mapping[str, Section]:
        """The data sections by name."""
        return self._sections

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (of the variable's type)
        """The value of a variable now; the `KeyError` lists what there is."""
        return self._home(name)[name]

    def __setitem__(self, name: str, value: object) -> None:
        """Set a variable; see `Section`."""
        self._home(name)[name] = value

    def __delitem__(self, name: str) -> None:
        """Refuse."""
        raise TypeError(f"the variable {name!r} cannot be deleted")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (as above)
        """The value of a variable whose name is no method's."""
        if name.startswith("__") and name.endswith("__"):
            # pickle and copy ask before there are any names
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(*error.args) from None

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 (as above)
        """Set a variable; `AttributeError` for a name that is not there."""
        if name not in self._homes:
            raise AttributeError(f"no variable {name!r}; there is {self._listing()}")
        self[name] = value

    def __iter__(self) -> Iterator[str]:
        """The names, section by section."""
        return iter(self._homes)

    def __len__(self) -> int:
        """How many variables there are."""
        return len(self._homes)

    def __dir__(self) -> Iterable[str]:
        """Let a shell complete the names."""
        return [*super().__dir__(), *self._homes]

    def codec(self, name: str) -> Codec:
        """How a variable is shown."""
        return self._home(name).source.variables[name].codec

    def reset(self) -> None:
        """Bring every section back to its first content, but for frozen ones."""
        for section in self._sections.values():
            section.reset()

    def _home(self, name: str) -> Section:
        if name not in self._homes:
            raise KeyError(f"no variable {name!r}; there is {self._listing()}")
        return self._homes[name]

    def _listing(self) -> str:
        return ", ".join(self._homes) or "none"

    def __repr__(self) -> str:
        """`<2 variables: packets, limit>`."""
        return f"<{len(self)} variable{'s' * (len(self) != 1)}: {self._listing()}>"
