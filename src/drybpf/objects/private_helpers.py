"""Helpers without a number of the kernel's: what objects name, at numbers of our own."""

from __future__ import annotations

from drybpf.errors import UnknownHelper
from drybpf.helpers import Helpers
from drybpf.state import Context, Helper

FIRST = 0xD0000000  # far from the kernel's numbers and, as an unsigned number, from users'


class PrivateHelpers:
    """Gives names their numbers in a table; a name keeps its number."""

    def __init__(self, helpers: Helpers) -> None:
        """Put helpers into this table, which others may use as well."""
        self._helpers = helpers
        self._numbers: dict[str, int] = {}

    def number(self, name: str, function: Helper) -> int:
        """The number of a name, registered when it is first asked for."""
        if name not in self._numbers:
            number = FIRST
            while number in set(self._helpers):
                number += 1
            self._helpers.register(number, function)
            self._numbers[name] = number
        return self._numbers[name]

    def obstacle(self, reason: str) -> int:
        """The number of a helper that faults with this reason."""

        def fault(context: Context, *_: int) -> int:
            raise UnknownHelper(context.number, reason)

        return self.number(f"obstacle: {reason}", fault)

    def __getitem__(self, name: str) -> int:
        """The number of a name; a `KeyError` where it has none."""
        return self._numbers[name]

    def __contains__(self, name: object) -> bool:
        """Whether a name has a number."""
        return name in self._numbers
