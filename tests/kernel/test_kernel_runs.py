"""The kernel as an engine: programs on states, by Python and by the command."""

from __future__ import annotations

import gc
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import drybpf
from drybpf.asm import assemble
from drybpf.cli import main
from drybpf.cli.failures import one_line
from drybpf.code import Code
from drybpf.errors import KernelError, VerifierError
from drybpf.hooks import HOOKS, Xdp, XdpAction
from drybpf.kernel import KernelProgram, syscall
from drybpf.maps import ArrayMap, MapDefinition, MapType
from drybpf.objects.codecs import Integer
from drybpf.packets import Packet, write_capture
from drybpf.program import Program
from drybpf.space import Space
from kernel_here import needs_kernel
from support import FIREWALL, TRAFFIC, fixture

pytestmark = needs_kernel

FRAME = bytes(range(64))
VERDICT = "ldxw r0, [r1+12]\nexit"  # the device


def _xdp(text: str, **options: object) -> Program:
    return Program.from_asm(text, hook=Xdp(), **options)


def _descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names are enough)


class _Counter:
    """A program that counts in a writable section by a constant one, and a map by handle."""

    def __init__(self) -> None:
        self.space = Space()
        self.data, self.constant = bytearray(24), bytearray(struct.pack("<Q", 5))
        bss = self.space.add(".bss", self.data)
        rodata = self.space.add(".rodata", self.constant, writable=False)
        self.map = ArrayMap(MapDefinition("table", MapType.ARRAY, 4, 8, 3, value=Integer(8)))
        self.single = ArrayMap(MapDefinition("single", MapType.ARRAY, 4, 24, 1))
        handle = self.space.add_map(self.map)
        self.space.add_map(self.single)
        assert self.single.region is not None
        text = """
            lddw r1, 0
            ldxdw r2, [r1]
            lddw r3, 0
            ldxdw r4, [r3]
            add r2, r4
            stxdw [r1], r2
            lddw r1, 0
            lddw r5, 0
            lock add [r5], r4
            stw [r10-4], 1
            mov r2, r10
            add r2, -4
            call 1
            jeq r0, 0, +4
            ldxdw r1, [r0]
            add r1, 5
            stxdw [r0], r1
            mov r0, r1
            exit
        """
        references = {
            0: bss.start + 16,
            3: rodata.start,
            8: handle,
            10: self.single.region.start + 8,
        }
        code = Code(assemble(text), name="counter", references=references)
        self.program = Program(code, hook=Xdp(), space=self.space)


def test_sections_and_maps_are_the_same_bytes_before_and_after() -> None:
    counter = _Counter()
    counter.map[1] = 7
    assert counter.program.run(FRAME, engine="kernel").value == 7 + 5
    assert counter.data == bytes(16) + struct.pack("<Q", 5)
    counter.data[16] = 100
    counter.map[1] = 1
    assert [counter.program.run(FRAME, engine="kernel").value for _ in range(3)] == [6, 11, 16]
    assert (counter.data[16], list(counter.map)) == (115, [0, 16, 0])
    assert counter.single[0] == bytes(8) + struct.pack("<Q", 20) + bytes(8)


def test_constants_are_loaded_anew_when_they_change() -> None:
    counter = _Counter()
    assert counter.program.run(FRAME, engine="kernel").value == 5
    counter.constant[0] = 9
    counter.program.run(FRAME, engine="kernel")
    assert counter.data[16] == 5 + 9


def test_nothing_is_left_over() -> None:
    before = _descriptors()
    counter = _Counter()
    for _ in range(1000):
        counter.program.run(FRAME, engine="kernel")
    assert counter.map[1] == 5000
    assert _descriptors() == before + 5  # the program, its sections and its maps
    counter.program.kernel.close()
    assert _descriptors() == before
    counter.program.run(FRAME, engine="kernel")
    del counter
    assert _descriptors() == before


def test_a_result_is_a_result() -> None:
    program = _xdp(
        "ldxw r2, [r1]\nldxw r3, [r1+4]\nmov r4, r2\nadd r4, 1\njgt r4, r3, +1\n"
        "stb [r2], 9\nmov r0, 2\nexit"
    )
    for engine in ("kernel", "jit", "interpreter"):
        result = program.run(FRAME, engine=engine)
        assert (result.value, result.action) == (2, XdpAction.PASS)
        assert result.packet == bytes([9, *FRAME[1:]])
        assert result.printed == result.records == ()
    assert program.run(FRAME, engine="kernel").instructions == 0


def test_the_engine_of_a_program() -> None:
    program = _xdp(VERDICT, engine="kernel")
    assert program(FRAME) == 1
    assert program.function(FRAME) == 1
    assert list(program.run_batch([FRAME] * 3)) == [1, 1, 1]
    program.engine = "jit"
    assert program(FRAME) == 1


def test_fields_of_the_context() -> None:
    program = _xdp(VERDICT)
    assert program.run(FRAME, engine="kernel", ifindex=1).value == 1
    with pytest.raises(KernelError, match="no network device"):
        program.run(FRAME, engine="kernel", ifindex=1_000_000)
    with pytest.raises(KernelError, match="egress_ifindex"):
        program.run(FRAME, engine="kernel", egress_ifindex=3)


def test_what_a_test_run_does_not_do() -> None:
    with pytest.raises(KernelError, match="takes 14 bytes and more, not 13"):
        _xdp(VERDICT).run(FRAME[:13], engine="kernel")
    with pytest.raises(KernelError, match=r"test-runs programs of xdp, .*, not of raw"):
        Program.from_asm("mov r0, 1\nexit").run(FRAME, engine="kernel")
    header = bytes(12) + b"\x08\x00"  # that of IPv4 must follow
    with pytest.raises(KernelError, match=r"refuses this packet \(33 bytes\)"):
        Program.from_asm("mov r0, 0\nexit", hook=HOOKS["sched_cls"]).run(
            header.ljust(33), engine="kernel"
        )
    for options in ({"registers": {3: 1}}, {"trace": print}):
        with pytest.raises(ValueError, match="neither takes registers"):
            _xdp(VERDICT).run(FRAME, engine="kernel", **options)
    with pytest.raises(VerifierError):
        _xdp("mov r0, 1").run(FRAME, engine="kernel")


def test_a_refusal_shows_the_end_of_the_log() -> None:
    with pytest.raises(KernelError) as caught:
        drybpf.load(fixture("xdp_bad_access"))["xdp_past_end"].run(FRAME, engine="kernel")
    assert str(caught.value).startswith("the kernel refused program 'xdp_past_end'")
    assert "invalid mem access" in str(caught.value)
    assert caught.value.log.endswith("\n")


def test_the_licence_counts() -> None:
    perf_output = "mov r0, 0\nmov r1, 0\ncall 6\nexit"
    with pytest.raises(KernelError, match="GPL"):
        KernelProgram(assemble(perf_output), 6, license="Proprietary")


def test_another_cpu() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is but one CPU")
    program = _xdp("call 8\nexit", helpers={8: lambda *_: 0})
    for cpu in sorted(os.sched_getaffinity(0)):
        program.host.cpu = cpu
        assert program.run(FRAME, engine="kernel").value == cpu
    before = os.sched_getaffinity(0)
    program.host.cpu = 5000
    with pytest.raises(KernelError, match="CPU 5000"):
        program.run(FRAME, engine="kernel")
    assert os.sched_getaffinity(0) == before


def test_subprograms_and_names() -> None:
    program = drybpf.load(fixture("xdp_local_calls"))
    for each in program.programs.values():
        assert each.run(FRAME, engine="kernel").value == each.run(FRAME, engine="jit").value


@pytest.mark.parametrize("name", ["", "1st", "n" * 600, "core::fmt<impl>", "\ud800"])
def test_functions_may_be_called_anything(name: str) -> None:
    code = Code(assemble("call f\nexit\nf: r0 = 2\nexit"), name=name, functions={0: name, 2: name})
    assert Program(code, hook=Xdp()).run(FRAME, engine="kernel").value == 2


def test_hooks_without_a_test_run() -> None:
    for name in ("lwt_seg6local", "sk_skb", "kprobe"):
        with pytest.raises(KernelError, match=f"test-runs programs of xdp, .*, not of {name}"):
            Program.from_asm("r0 = 0\nexit", hook=HOOKS[name]).run(FRAME, engine="kernel")


def test_the_command_tells_notes() -> None:
    error = KernelError("the kernel refused MAP_CREATE: Cannot allocate memory")
    error.add_note("map 'h' (array)")
    assert one_line(error) == f"{error} (map 'h' (array))"


def test_a_batch_names_the_packet() -> None:
    with pytest.raises(KernelError) as caught:
        _xdp(VERDICT, engine="kernel").run_batch([FRAME, FRAME, b"short"])
    assert caught.value.__notes__ == ["packet 2 of the batch"]


def test_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    class _Refusing:
        @staticmethod
        def syscall(*_: object) -> int:
            import ctypes  # noqa: PLC0415 (as the kernel would)

            ctypes.set_errno(1)
            return -1

    monkeypatch.setattr(syscall, "_LIBC", _Refusing)
    with pytest.raises(KernelError) as caught:
        _xdp(VERDICT).run(FRAME, engine="kernel")
    text = "bpf(2) is not permitted here: it takes root, or CAP_BPF and CAP_NET_ADMIN"
    assert str(caught.value) == text
    monkeypatch.setattr(syscall, "_LIBC", None)
    with pytest.raises(KernelError, match="Linux"):
        _xdp(VERDICT).run(FRAME, engine="kernel")


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_command_on_a_capture(command: Command) -> None:
    ours = command("run", FIREWALL, "--pcap", TRAFFIC)
    assert command("run", FIREWALL, "--pcap", TRAFFIC, "--engine", "kernel") == ours


def test_the_command_on_a_packet(command: Command) -> None:
    arguments = ("run", FIREWALL, "--mem", FRAME.hex(), "--engine", "kernel")
    assert command(*arguments) == (0, "DROP (1)\n", "")
    report = json.loads(command(*arguments, "--json")[1])
    assert (report["value"], report["packet"]) == (1, FRAME.hex())


def test_the_command_measures(command: Command) -> None:
    arguments = ("bench", FIREWALL, "--mem", FRAME.hex(), "--engine", "kernel", "--json")
    report = json.loads(command(*arguments)[1])
    assert report["engine"] == "kernel"
    assert 0 < report["ns_per_run"] < 100_000
    assert report["compile_ns"] > 0


def test_the_command_says_why_not(command: Command, tmp_path: Path) -> None:
    program = tmp_path / "program.s"
    program.write_text("mov r0, 1\nexit")
    code, out, err = command("run", program, "--engine", "kernel")
    assert (code, out) == (1, "")
    assert err.startswith("drybpf: the kernel test-runs ")
    assert err.count("\n") == 1
    capture = tmp_path / "short.pcap"
    write_capture(capture, [Packet(data, 0, len(data)) for data in (FRAME, b"short")])
    for extra in ((), ("--out", tmp_path / "out.pcap")):
        code, out, err = command("run", FIREWALL, "--pcap", capture, "--engine", "kernel", *extra)
        assert (code, "packet 1: the kernel's test run takes 14 bytes and more" in err) == (1, True)
        assert "FAULT          1      5" in out
    bad = ("run", fixture("xdp_bad_access"), "--program", "xdp_past_end", "--pcap", capture)
    code, out, err = command(*bad, "--engine", "kernel")
    assert (code, out, "invalid mem access" in err) == (1, "", True)


@pytest.mark.parametrize(
    "kind",
    ["sched_cls", "sched_act", "socket_filter", "cgroup_skb", "lwt_in", "lwt_out", "lwt_xmit"],
)
def test_every_type_of_program_on_socket_buffers(kind: str) -> None:
    text = """
        ldxw r0, [r1+0]
        ldxw r2, [r1+16]
        lsh r0, 16
        or r0, r2
        ldxw r2, [r1+40]
        add r0, r2
        mov r2, r0
        rsh r2, 9
        xor r0, r2
        and r0, 1
        exit
    """
    program = Program.from_asm(text, hook=HOOKS[kind])
    frame = bytes(12) + b"\x86\xdd\x60" + bytes(60)
    results = [program.run(frame, engine=engine) for engine in ("interpreter", "jit", "kernel")]
    assert len({result.value for result in results}) == 1
    assert len({result.packet for result in results}) == 1
