"""Threads that begin to run in one space at the same time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from threading import Barrier, Thread

import pytest

from drybpf.hooks import Xdp
from drybpf.jit import layout
from drybpf.jit.compiled import Jit
from drybpf.jit.surroundings import host_table
from drybpf.jit.variant import Variant
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from drybpf.space import Space

THREADS, ROUNDS = 4, 60


@pytest.fixture
def _hurry() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _at_once(ask: Callable[[], object]) -> set[object]:
    answers: list[object] = []
    barrier = Barrier(THREADS)

    def wait_and_ask() -> None:
        barrier.wait()
        answers.append(ask())

    threads = [Thread(target=wait_and_ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == THREADS
    return set(answers)


@pytest.mark.usefixtures("_hurry")
def test_all_get_the_same_table() -> None:
    """A second one would be freed while a run reads it."""
    for _ in range(ROUNDS):
        space = Space()
        for number in range(4):
            definition = MapDefinition(f"map{number}", MapType.ARRAY, 4, 8, 4)
            space.add_map(Map.create(definition))
        assert len(_at_once(lambda: host_table(space))) == 1  # noqa: B023 (used in this round)


@pytest.mark.usefixtures("_hurry")
def test_all_bind_the_same_program() -> None:
    """What takes calls by name lives as long as compiled code points at it."""
    for _ in range(ROUNDS):
        program = Program.from_asm("mov r0, 1\nexit", engine="jit")
        variant = program.compiler.variant()
        assert _at_once(lambda: program.function(b"")) == {1}  # noqa: B023 (used in this round)
        pointed = variant.env[layout.ENV_OTHER], variant.env[layout.ENV_FALLBACK]
        assert pointed == tuple(map(id, _kept(variant)))
        assert program(packet=b"") == 1


@pytest.mark.parametrize("way", ["run", "call", "batch"])
def test_a_helper_is_replaced_while_another_thread_compiles(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code with the old one inlined took the new one's context for its storage."""
    program = Program.from_asm("call 5\nexit", hook=Xdp(), engine="jit")
    for name in ("variant", "batch_variant"):
        compiling: Callable[..., Variant] = getattr(Jit, name)

        def compile_slowly(
            self: Jit, *rest: int, compiling: Callable[..., Variant] = compiling, **how: bool
        ) -> Variant:
            variant = compiling(self, *rest, **how)
            program.helpers.register(5, lambda *_: 777)
            return variant

        if way != "batch" or name == "batch_variant":
            monkeypatch.setattr(Jit, name, compile_slowly)
    if way == "run":
        assert program.run(bytes(64)).value == 777
    elif way == "call":
        assert program(bytes(64)) == 777
    else:
        assert list(program.run_batch([bytes(64)] * 3)) == [777] * 3


def _kept(variant: Variant) -> tuple[object, object]:
    bound = variant._bound
    assert isinstance(bound, tuple)
    return variant._other, bound[0]
