"""What a frame of a `bpf_loop` waits with: data, so that compiled code can hand it over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drybpf.state import Context, Invoke

MAX_LOOPS = 1 << 23  # BPF_MAX_LOOPS


@dataclass(frozen=True, slots=True)
class Looping:
    """A turn of a loop: `function(index, argument)`, the entry slot of a function, is called.

    It is the `then` of its own `Invoke`: called with the function's result, it gives the next turn,
    or the number of turns where the result is not 0 or all `times` are done.
    """

    function: int
    index: int  # of the turn, from 0
    times: int
    argument: int

    def turn(self) -> int | Invoke:
        """Call the function for this turn, if there is one."""
        if self.index >= self.times:
            return self.index
        return Invoke(self.function, (self.index, self.argument), self)

    def __call__(self, _: Context, result: int) -> int | Invoke:
        """Take the function's result."""
        following = replace(self, index=self.index + 1)
        return following.index if result else following.turn()
