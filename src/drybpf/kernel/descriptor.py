"""A file descriptor that is closed for certain, and once."""

from __future__ import annotations

import os
import weakref
from types import TracebackType
from typing import Self


class Descriptor:
    """Something of the kernel's that lives as long as this object, or until it is closed."""

    def __init__(self, fd: int) -> None:
        """Take over an open file descriptor."""
        self._fd = fd
        self._close = weakref.finalize(self, os.close, fd)

    @property
    def fd(self) -> int:
        """The number.  Raises `ValueError` once it is closed: the number may be another's."""
        if not self._close.alive:
            raise ValueError("it is closed")
        return self._fd

    def close(self) -> None:
        """Close it; again does nothing."""
        self._close()

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it at the end of the block."""
        self.close()
