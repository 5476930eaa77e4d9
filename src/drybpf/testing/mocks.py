"""Helpers that a test puts in the place of real ones, and what was asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from drybpf.helpers.kfuncs import helper_name, helper_number, is_known
from drybpf.helpers.registry import Call

if TYPE_CHECKING:
    from drybpf.helpers import Helpers
    from drybpf.state import HelperResult

Returns = "int | Iterable[int] | Callable[..., HelperResult]"


class HelperMock:
    """A replaced helper; `calls` has each call's arguments, r1 to r5, and its result."""

    def __init__(self, number: int, answer: Callable[..., HelperResult]) -> None:
        """Answer each call by `answer(context, r1, …, r5)`."""
        self.number, self.name = number, helper_name(number) or f"helper {number}"
        self.calls: list[Call] = []
        self._answer = answer

    def __call__(self, context: object, *arguments: int) -> HelperResult:
        """Answer a call of the program's."""
        result = self._answer(context, *arguments)
        self.calls.append(Call(arguments, result))
        return result

    @property
    def called(self) -> bool:
        """Whether the program called it."""
        return bool(self.calls)

    def assert_called(self, times: int | None = None) -> None:
        """Fail unless it was called, exactly so many times where that is given."""
        if not self.calls or (times is not None and len(self.calls) != times):
            wanted = "at least once" if times is None else f"{times} times"
            raise AssertionError(f"{self.name} was called {len(self.calls)} times, not {wanted}")

    def assert_not_called(self) -> None:
        """Fail if it was called."""
        if self.calls:
            raise AssertionError(f"{self.name} was called: {self.calls[0]}")

    def __repr__(self) -> str:
        """`<HelperMock bpf_ktime_get_ns: 2 calls>`."""
        return f"<HelperMock {self.name}: {len(self.calls)} calls>"


class HelperMocks:
    """Puts mocks into an object's helpers; `[name or number]` is the mock that was put there."""

    def __init__(self, helpers: Helpers) -> None:
        """Nothing is replaced yet."""
        self._helpers = helpers
        self._mocks: dict[int, HelperMock] = {}

    def mock(
        self,
        helper: int | str,
        returns: int | Iterable[int] | Callable[..., HelperResult] = 0,
    ) -> HelperMock:
        """Replace a helper or kfunc, by number or by name (`"bpf_ktime_get_ns"`).

        It returns a number, the numbers of a sequence one after the other (its last one from then
        on), or what a function of the context and r1 to r5 returns.
        """
        number = _number(helper)
        mock = self._mocks[number] = HelperMock(number, _answer(returns))
        self._helpers.register(number, mock)
        return mock

    def __getitem__(self, helper: int | str) -> HelperMock:
        """The mock of a helper."""
        return self._mocks[_number(helper)]


def _number(helper: int | str) -> int:
    if isinstance(helper, int):
        return helper
    if not is_known(helper):
        raise ValueError(f"the kernel has no helper {helper!r}")
    return helper_number(helper)


def _answer(
    returns: int | Iterable[int] | Callable[..., HelperResult],
) -> Callable[..., HelperResult]:
    if callable(returns):
        return returns
    if isinstance(returns, int):
        value = returns
        return lambda *_: value
    values = list(returns)
    if not values:
        raise ValueError("a mock needs at least one result")

    def following(*_: object) -> int:
        return values.pop(0) if len(values) > 1 else values[0]

    return following
