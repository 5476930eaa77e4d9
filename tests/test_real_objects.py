"""Objects that other people's compilers made: loaded, named, run; skipped where not at hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from drybpf import ObjectError, load
from drybpf.engine import Engine
from drybpf.errors import BpfError
from drybpf.objects import Object, ObjectProgram, ProgramType
from drybpf.packets import read_capture
from object_runs import ENGINES, contents, run_object
from support import shared, shared_or_none

ROOT = shared_or_none("objects")
FILES = sorted(ROOT.glob("*/*.o")) if ROOT else []
INVALID = sorted((ROOT / "invalid").iterdir()) if ROOT else []
CAPTURES = shared_or_none("pcaps")
PACKETS = 4  # of each capture
RUN = (ProgramType.XDP, ProgramType.SOCKET_FILTER)


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_object_loads_at_once(path: Path) -> None:
    begin = time.process_time()
    obj = load(path)
    for program in obj.programs.values():
        program.verify()
    assert time.process_time() - begin < 5
    assert len(obj.maps) == len(obj.file.maps)
    for name, found in obj.maps.items():
        assert found.definition.name == name
    references = [
        obstacle for program in obj.programs.values() for obstacle in program.bound.obstacles
    ]
    assert references == [], "every map, variable and function is there"


def test_they_are_as_many_as_their_makers_say() -> None:
    """Of the objects here; facts as llvm-objdump and llvm-readelf show them."""
    root = shared("objects")
    counts = {
        name: (len(obj), len(obj.maps), len(obj.data))
        for name in (
            "ovs/datapath", "bpf_cilium_test/bpf_lxc_jit", "cilium-core/bpf_alignchecker",
            "linux/map_perf_test_kern", "prototype-kernel/xdp_redirect_cpu_kern",
        )
        if (obj := load(root / f"{name}.o"))
    }  # fmt: skip
    assert counts == {
        "ovs/datapath": (19, 9, 0),
        "bpf_cilium_test/bpf_lxc_jit": (9, 17, 0),
        "cilium-core/bpf_alignchecker": (2, 34, 76),
        "linux/map_perf_test_kern": (8, 11, 0),
        "prototype-kernel/xdp_redirect_cpu_kern": (11, 9, 0),
    }


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name[:16])
def test_invalid_objects_end_at_once(path: Path) -> None:
    begin = time.process_time()
    try:
        obj = load(path)
    except ObjectError:
        pass
    else:
        for program in obj.programs.values():
            end(program.run)
    assert time.process_time() - begin < 2


def end(run: Callable[..., object]) -> None:
    """A result or an error of ours."""
    with contextlib.suppress(BpfError):
        run(bytes(64), engine="interpreter", budget=10_000)


# What their sources say


def test_a_variable() -> None:
    outcome = run_object(shared("objects/build/global_variable_2.o"), "func")
    assert outcome.value == 10
    changed = run_object(
        shared("objects/build/global_variable_2.o"), "func", prepare=set_first_variable
    )
    assert changed.value == 77


def set_first_variable(obj: Object) -> None:
    obj.data[next(iter(obj.data))] = 77


def test_a_loop_over_a_map() -> None:
    path = shared("objects/build/bounded_loop.o")
    (name,) = load(path)
    outcome = run_object(path, name, bytes(64), times=2)
    assert outcome.value == 0
    (elements,) = outcome.maps.values()
    assert [bool(element) for element in elements[:1000]] == [True] * 1000


# Over packets


def runnable() -> list[tuple[Path, str]]:
    return [
        (path, name)
        for path in FILES
        for name, program in load(path).programs.items()
        if program.type in RUN
    ]


@pytest.mark.parametrize(
    ("path", "name"), runnable(), ids=lambda value: str(getattr(value, "stem", value))
)
def test_engines_agree_over_captures(path: Path, name: str) -> None:
    """Verdict or fault, packet and number of instructions of each run; then maps and variables."""
    if CAPTURES is None:
        pytest.skip("the shared captures are not here (DRYBPF_SHARED)")
    objects = [load(path) for _ in ENGINES]
    for capture in sorted(CAPTURES.glob("*.pcap*")):
        for packet in islice(read_capture(capture), PACKETS):
            first, *others = (
                outcome(obj[name], packet.data, engine)
                for obj, engine in zip(objects, ENGINES, strict=True)
            )
            assert all(other == first for other in others), capture
    maps = [{n: contents(found) for n, found in obj.maps.items()} for obj in objects]
    assert all(other == maps[0] for other in maps)
    assert all(dict(obj.data) == dict(objects[0].data) for obj in objects)


def outcome(program: ObjectProgram, packet: bytes, engine: Engine) -> tuple[object, ...]:
    try:
        result = program.run(packet, engine=engine)
    except BpfError as error:
        return type(error), str(error)
    return result.value, result.packet, result.instructions, result.printed, result.records
