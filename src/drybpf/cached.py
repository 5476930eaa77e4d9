"""`cached_property` without the lock that Python 3.11 holds while it computes a value.

That lock is one for all objects of a class: threads that compile wait for each other, and a child
that is forked meanwhile finds it locked for ever.  Python 3.12 has dropped it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property:  # noqa: N801 (its name in `functools`)
        """A property that is computed once, or by each of the threads that ask at once."""

        def __init__(self, compute: Any) -> None:  # noqa: ANN401
            """Of a method without arguments."""
            self.compute, self.__doc__ = compute, compute.__doc__

        def __set_name__(self, _: type, name: str) -> None:
            """Learn the attribute's name, which Python tells."""
            self.name = name

        def __get__(self, instance: Any, _: type | None = None) -> Any:  # noqa: ANN401
            """The value, which lies in the object from now on."""
            if instance is None:
                return self
            value = instance.__dict__[self.name] = self.compute(instance)
            return value


__all__ = ["cached_property"]
