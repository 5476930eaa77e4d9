"""The command, as a user meets it: output, exit codes, errors; never a traceback."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from children import run_child
from drybpf.asm import assemble
from drybpf.cli import main, options
from drybpf.cli.plugin import main as plugin
from drybpf.engine import ENGINES
from drybpf.packets import Packet, read_capture, write_capture
from elf_writer import ElfWriter
from support import FIREWALL, TRAFFIC, fixture, shared

VERDICTS = {"PASS": (60, 7371), "DROP": (11, 732), "ABORTED": (4, 194), "TX": (2, 138)}
Run = Callable[..., tuple[int, str, str]]
OURS = tuple(engine for engine in ENGINES if engine != "kernel")  # that one is tested in kernel/


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return command


@pytest.fixture
def add_one(tmp_path: Path) -> Path:
    path = tmp_path / "add.bin"
    path.write_bytes(assemble("mov r0, r2\nadd r0, 1\nexit"))
    return path


@pytest.mark.parametrize("engine", OURS)
def test_the_main_job(run: Run, engine: str) -> None:
    code, out, err = run("run", FIREWALL, "--pcap", TRAFFIC, "--engine", engine)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert {name: (int(n), int(size)) for name, n, size in rows[1:-1]} == VERDICTS
    assert rows[-1] == ["total", "77", "8435"]


def test_the_main_job_as_json(run: Run) -> None:
    code, out, _ = run("run", FIREWALL, "--pcap", TRAFFIC, "--json")
    report = json.loads(out)
    found = {row["verdict"]: (row["packets"], row["bytes"]) for row in report["verdicts"]}
    assert (code, found, report["faults"]) == (0, VERDICTS, [])


def test_packets_that_passed_are_written(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "passed.pcap"
    assert run("run", FIREWALL, "--pcap", TRAFFIC, "--out", out)[0] == 0
    assert len(list(read_capture(out))) == VERDICTS["PASS"][0]
    again = run("run", FIREWALL, "--pcap", out)[1]
    assert again.splitlines()[1].split() == ["PASS", "60", "7371"]


def test_the_input_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(TRAFFIC.read_bytes())
    code, _, err = run("run", FIREWALL, "--pcap", copy, "--out", copy)
    assert (code, "overwrite" in err) == (2, True)
    assert copy.read_bytes() == TRAFFIC.read_bytes()


def test_programs_are_not_overwritten(run: Run, tmp_path: Path) -> None:
    path, text = tmp_path / "program.o", tmp_path / "program.s"
    path.write_bytes(FIREWALL.read_bytes())
    text.write_text("r0 = 0\nexit")
    for command in (["run", path, "--pcap", TRAFFIC, "--out", path], ["asm", text, "-o", text]):
        code, _, err = run(*command)
        assert (code, "overwrite" in err) == (2, True)
    assert path.read_bytes() == FIREWALL.read_bytes()
    assert text.read_text() == "r0 = 0\nexit"


def test_what_cannot_be_written(run: Run, tmp_path: Path) -> None:
    path, text = tmp_path / "none" / "out", tmp_path / "program.s"
    text.write_text("r0 = 0\nexit")
    for command in (["run", FIREWALL, "--pcap", TRAFFIC, "--out", path], ["asm", text, "-o", path]):
        code, _, err = run(*command)
        assert (code, "No such file" in err, err.count("\n")) == (1, True, 1)


def test_packets_that_the_program_changed_are_written_so(run: Run, tmp_path: Path) -> None:
    program, out = tmp_path / "program.s", tmp_path / "out.pcap"
    program.write_text("stb [r1], 0x55\nr0 = 0\nexit")
    assert run("run", program, "--pcap", TRAFFIC, "--out", out)[0] == 0
    before, after = list(read_capture(TRAFFIC)), list(read_capture(out))
    assert [b"\x55" + packet.data[1:] for packet in before] == [packet.data for packet in after]
    assert [packet.timestamp_ns for packet in before] == [packet.timestamp_ns for packet in after]
    assert [p.original_length for p in before] == [p.original_length for p in after]


# One verdict for packets longer than 80 bytes, another for others
_BY_LENGTH = """
r6 = r1
{call}w2 = *(u32 *)(r6 + 0)
r0 = {long}
if r2 > 80 goto +1
r0 = {short}
exit
"""


@pytest.mark.parametrize("call", ["", "call 7\n"], ids=["reads", "may write"])
@pytest.mark.parametrize(
    ("section", "passes", "drops", "hidden"),
    [
        ("tc", 0, 2, 0),
        ("tc", 3, 2, 0),
        ("tc", -1, 4, 0),
        ("socket", 40, 0, 0),
        ("cgroup_skb/ingress", 1, 0, 14),
        ("cgroup_skb/egress", 3, 2, 14),
        ("lwt_in", 0, 2, 14),
    ],
)
def test_what_passes_other_hooks_is_written_whole(
    run: Run, tmp_path: Path, call: str, section: str, passes: int, drops: int, hidden: int
) -> None:
    path, out = tmp_path / "program.o", tmp_path / "out.pcap"
    code = assemble(_BY_LENGTH.format(call=call, long=passes, short=drops))
    path.write_bytes(bytes.fromhex(_object(section, program=code)))
    assert run("run", path, "--pcap", TRAFFIC, "--out", out)[0] == 0
    long = [packet for packet in read_capture(TRAFFIC) if len(packet.data) - hidden > 80]
    assert list(read_capture(out)) == long
    assert 10 < len(long) < 70


def test_a_tag_beside_the_packet_is_written_into_it(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "program.o", tmp_path / "out.pcap"
    code = assemble("r2 = 0xa888\nr3 = 5\ncall 18\nr0 = 0\nexit")
    path.write_bytes(bytes.fromhex(_object("tc", program=code)))
    assert run("run", path, "--pcap", TRAFFIC, "--out", out)[0] == 0
    for before, after in zip(read_capture(TRAFFIC), read_capture(out), strict=True):
        data = before.data
        assert after.data == data[:12] + bytes.fromhex("88a80005") + data[12:]
        assert after.original_length == before.original_length + 4


def test_packets_are_written_beside_faults(run: Run, tmp_path: Path) -> None:
    program, out = tmp_path / "program.s", tmp_path / "out.pcap"
    program.write_text("stb [r1+60], 0\nr0 = 0\nexit")  # short packets end before that
    code, table, _ = run("run", program, "--pcap", TRAFFIC, "--out", out)
    counts = {name: int(packets) for name, packets, _ in map(str.split, table.splitlines()[1:])}
    assert (code, counts["FAULT"]) == (1, 77 - counts["0x0"])
    assert len(list(read_capture(out))) == counts["0x0"] > 0


@pytest.mark.parametrize("engine", OURS)
def test_long_captures(run: Run, tmp_path: Path, engine: str) -> None:
    path, packets = tmp_path / "long.pcap", list(read_capture(TRAFFIC))
    write_capture(path, packets * 20)
    rows = [line.split() for line in run("run", FIREWALL, "--pcap", path)[1].splitlines()]
    assert {name: int(n) // 20 for name, n, _ in rows[1:-1]} == {
        name: packets for name, (packets, _) in VERDICTS.items()
    }
    arguments = ("--program", "xdp_past_end", "--pcap", path, "--json", "--engine", engine)
    report = json.loads(run("run", fixture("xdp_bad_access"), *arguments)[1])
    assert report["verdicts"][0]["packets"] == 1540
    assert [fault["packet"] for fault in report["faults"]] == list(range(100))
    assert report["engine"] == engine


def test_what_a_capture_lacks(run: Run, tmp_path: Path) -> None:
    path, packet = tmp_path / "lacking.pcap", Packet(bytes(60), 0, 1500, link_type=101)
    write_capture(path, [packet, packet], 101)
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = run("run", FIREWALL, "--pcap", path)
    assert (code, out.splitlines()[-1].split()) == (0, ["total", "1", "60"])
    foreign, truncated, cut = err.splitlines()
    assert "link type RAW (101) is not Ethernet" in foreign
    assert "the file ends inside" in truncated
    assert "1 packets were cut when they were captured" in cut
    assert len(json.loads(run("run", FIREWALL, "--pcap", path, "--json")[1])["warnings"]) == 3


@pytest.mark.parametrize("out", [False, True])
def test_a_capture_that_breaks_off_in_nonsense(run: Run, tmp_path: Path, out: bool) -> None:
    path = tmp_path / "broken.pcap"
    path.write_bytes(TRAFFIC.read_bytes() + b"\xff" * 16)
    arguments = ["--out", tmp_path / "out.pcap"] if out else []
    code, _, err = run("run", FIREWALL, "--pcap", path, *arguments)
    assert (code, err.count("\n")) == (3, 1)


def test_a_fault_in_a_capture_is_counted_and_shown(run: Run) -> None:
    path = fixture("xdp_bad_access")
    code, out, err = run("run", path, "--program", "xdp_past_end", "--pcap", TRAFFIC)
    assert code == 1
    assert out.splitlines()[1].split() == ["FAULT", "77", "8435"]
    assert "first fault, on packet 0: read of 1 bytes" in err
    assert "xdp_bad_access.c:17" in err
    arguments = ("--program", "xdp_past_end", "--pcap", TRAFFIC, "--json")
    report = json.loads(run("run", path, *arguments)[1])
    assert (report["faults"][0]["type"], report["faults"][0]["pc"]) == ("MemoryFault", 1)


def test_raw_and_text_programs(run: Run, add_one: Path, tmp_path: Path) -> None:
    assert run("run", add_one, "--mem", "001122")[:2] == (0, "0x4\n")
    assert run("run", add_one, "--mem", "")[:2] == (0, "0x1\n")
    memory = tmp_path / "memory"
    memory.write_bytes(b"12345")
    assert run("run", add_one, "--mem", memory)[1] == "0x6\n"
    text = tmp_path / "program.s"
    text.write_text("r0 = 7\nexit")
    report = json.loads(run("run", text, "--json")[1])
    assert (report["value"], report["instructions"], report["action"]) == (7, 2, None)
    assert run("run", add_one, "--pcap", TRAFFIC)[0] == 0


def test_asm_and_disasm_are_inverse(run: Run, add_one: Path, tmp_path: Path) -> None:
    for dialect in ("ubpf", "llvm"):
        text, back = tmp_path / "text.s", tmp_path / "back.bin"
        text.write_text(run("disasm", add_one, "--dialect", dialect)[1])
        assert run("asm", text, "-o", back)[0] == 0
        assert back.read_bytes() == add_one.read_bytes()


def test_disasm_shows_source_lines(run: Run) -> None:
    out = run("disasm", fixture("xdp_local_calls"), "--dialect", "llvm")[1]
    assert "# ./tests/fixtures/src/xdp_local_calls.c:" in out
    assert json.loads(run("disasm", fixture("xdp_pass"), "--json")[1])["size"] == 2
    assert "L" in run("disasm", fixture("xdp_loop"), "--labels")[1]
    listings = json.loads(run("disasm", fixture("xdp_two_programs"), "--json")[1])
    assert {name: listing["size"] for name, listing in listings.items()} == {
        "xdp_first": 7,
        "xdp_second": 8,
    }


def test_verify(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("verify", FIREWALL)
    assert (code, "memory-safe: proven" in out) == (0, True)
    bad = tmp_path / "bad.bin"
    bad.write_bytes(assemble("mov r0, 1"))
    code, out, _ = run("verify", bad)
    assert (code, "control can run past the end" in out) == (1, True)
    report = json.loads(run("verify", fixture("xdp_bad_access"), "--json")[1])
    assert [len(program["checked"]) for program in report] == [1, 1, 1]
    strict = tmp_path / "strict.bin"
    strict.write_bytes(assemble("or r0, r10\nexit"))
    assert run("verify", strict)[0] == 0
    assert run("verify", strict, "--strict")[0] == 1


def test_dump(run: Run, add_one: Path) -> None:
    assert "@enter" in run("dump", add_one)[1]
    assert "alloca" in run("dump", add_one, "--raw-ir")[1]
    assert "enter" in run("dump", add_one, "--asm")[1]
    assert run("dump", add_one, "--checks")[1] == ""


@pytest.mark.parametrize("engine", OURS)
def test_bench(run: Run, add_one: Path, engine: str) -> None:
    arguments = ("--mem", "0011", "--engine", engine, "--repeat", 10, "--json")
    report = json.loads(run("bench", add_one, *arguments)[1])
    assert list(report) == ["engine", "ns_per_run", "compile_ns", "result", "instructions"]
    assert (report["result"], report["instructions"]) == (3, 3)
    assert report["ns_per_run"] > 0
    assert run("bench", add_one, "--repeat", 1)[0] == 0


def test_bench_of_what_is_too_large_to_compile(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(assemble("r0 = 0") * 20_001 + assemble("exit"))
    report = json.loads(run("bench", path, "--repeat", 1, "--json")[1])
    assert (report["engine"], report["compile_ns"]) == ("interpreter", 0)
    code, _, err = run("bench", path, "--repeat", 1, "--engine", "jit")
    assert (code, "more than the 20000" in err) == (1, True)


def test_a_long_bench_can_be_interrupted(add_one: Path) -> None:
    text = f"""
import os, signal, threading
from drybpf.cli import main
signal.alarm(60)
threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
print(main(["bench", {str(add_one)!r}, "--engine", "jit", "--repeat", str(10**15)]))
"""
    assert run_child(text).splitlines()[-1] == "130"


def test_bench_of_a_program_that_faults(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "faults.bin"
    path.write_bytes(assemble("ldxb r0, [r1]\nexit"))
    for engine in OURS:
        assert run("bench", path, "--engine", engine)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "missing.o"], 3, "missing.o: No such file"),
        (["run", "."], 3, "not a regular file"),
        (["run", str(FIREWALL), "--pcap", "missing.pcap"], 3, "missing.pcap"),
        (["run", str(FIREWALL), "--pcap", str(FIREWALL)], 3, "capture"),
        (["run", str(FIREWALL), "--program", "nobody"], 3, "no program 'nobody'"),
        (["run", str(fixture("xdp_bad_access"))], 2, "--program"),
        (["run", str(FIREWALL), "--mem", "xyz"], 2, "neither a file nor hexadecimal"),
        (["run", str(FIREWALL), "--mem", "00", "--pcap", str(TRAFFIC)], 2, "exclude"),
        (["run", str(FIREWALL), "--out", "x"], 2, "--out goes with"),
        (["run", str(FIREWALL), "--mem", "00", "--budget", "1"], 1, "budget"),
        (["run", str(FIREWALL), "--mem", "00", "--budget", str(1 << 63)], 2, "--budget"),
        (["run", str(FIREWALL), "--nonsense"], 2, "(see drybpf run --help)"),
        (["asm", str(FIREWALL), "-o", "x"], 3, "not text"),
        (["disasm", str(TRAFFIC), "--program", "x"], 2, "--program"),
        (["nonsense"], 2, "No such command"),
        (["run"], 2, "Missing argument"),
    ],
)
def test_errors_are_one_line(run: Run, arguments: list[str], code: int, message: str) -> None:
    found, _, err = run(*arguments)
    assert (found, message in err) == (code, True), err
    assert err.count("\n") == 1
    if arguments[0] == "run":
        found, out, _ = run(*arguments, "--json")
        assert (found, message in json.loads(out)["error"]["message"]) == (code, True)


def test_an_error_in_text_names_its_place(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.s"
    path.write_text("mov r0, 1\nmvo r0, 2\nexit")
    code, _, err = run("asm", path, "-o", tmp_path / "out")
    assert (code, "line 2, column 1" in err) == (1, True)
    assert json.loads(run("run", path, "--json")[1])["error"]["line"] == 2


def test_the_engines_are_those_that_there_are() -> None:
    assert options.ENGINES == ENGINES


def test_without_arguments_it_explains_itself(run: Run) -> None:
    code, out, _ = run()
    assert (code, out.startswith("Usage: drybpf")) == (0, True)


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("drybpf.cli.inputs.read_file", interrupt)
    assert run("run", FIREWALL)[0] == 130


def _process(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "drybpf", *command]
    return subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)


def test_as_a_process() -> None:
    done = _process("run", str(FIREWALL), "--pcap", str(TRAFFIC))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("verdict")
    assert _process("--version").stdout.startswith("drybpf, version")


@pytest.mark.parametrize("command", ["asm {} -o -", "disasm {}", "cfg {}", "trace {}"])
def test_without_a_standard_output(tmp_path: Path, command: str) -> None:
    """As `>&-` in a shell leaves it."""
    path = tmp_path / "program.s"
    path.write_text("r0 = 0\nexit\n")
    arguments = [sys.executable, "-m", "drybpf", *command.format(path).split()]
    code = f"import os, sys; os.close(1); os.execv(sys.executable, {arguments!r})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def _vectors() -> list[dict[str, Any]]:
    path = shared("conformance/open.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def _spaced(text: str) -> str:
    return "".join(f"{byte:02x}  " for byte in bytes.fromhex(text.replace(" ", "")))


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_conformance_through_the_plugin(
    engine: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = _vectors()
    for row in vectors:
        memory = [_spaced(row["mem_hex"])] if row["mem_hex"] else []
        monkeypatch.setattr("sys.stdin", io.StringIO(_spaced(row["bytecode_hex"]) + "\n"))
        assert plugin([*memory, "--engine", engine]) == 0, row["name"]
        assert int(capsys.readouterr().out, 16) == row["expected"], row["name"]
    assert len(vectors) == 174


def test_the_plugin_as_a_process() -> None:
    program = _spaced("7110010000000000 9500000000000000")
    done = _process("plugin", "aa  bb  cc  ", "--engine", "jit", "--debug", text=program + "\n")
    assert (done.returncode, done.stdout) == (0, "bb\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["aa bb cc", "--engine", "jit"],
        ["--engine", "jit", "aa bb cc"],
        ["--debug", "--engine=jit", "aabbcc"],
    ],
)
def test_the_plugin_takes_arguments_in_any_order(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("7110010000000000 9500000000000000"))
    assert plugin(arguments) == 0
    assert capsys.readouterr().out == "bb\n"


def test_the_plugin_tells_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert plugin(["--help"]) == 0
    assert "drybpf-plugin [MEM] [--engine interpreter|jit]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text", "reason"),
    [
        ([], "not hex", "the program is not hexadecimal"),
        (["xx"], "9500000000000000", "the memory is not hexadecimal"),
        (["aa", "bb"], "9500000000000000", "one memory, not 2"),
        ([], "9500", "2 bytes, is not a multiple of 8"),
        (["--wrong"], "9500000000000000", "unknown option --wrong"),
        (["--engine"], "9500000000000000", "--engine needs a value"),
        (["--engine=warp"], "9500000000000000", "warp"),
        (["--elf"], "9500000000000000", "ELF"),
        ([], "7100000000000000 9500000000000000", "a null pointer at insn 0"),
    ],
)
def test_what_the_plugin_refuses(
    arguments: list[str],
    text: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert plugin(arguments) == 1
    out = capsys.readouterr().out
    assert (out.count("\n"), reason in out) == (1, True), out


def test_the_plugin_starts_without_click() -> None:
    script = "import sys, drybpf.cli.plugin; print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_the_plugin_when_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.read", interrupt, raising=False)
    assert plugin([]) == 130


def _object(section: str, **programs: bytes) -> str:
    writer = ElfWriter()
    index = writer.section(section, b"".join(programs.values()))
    start = 0
    for name, code in programs.items():
        writer.symbol(name, index, start, size=len(code))
        start += len(code)
    return writer.build().hex()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_object("other", first=assemble("r0 = 1\nexit"), main=assemble("r0 = 2\nexit")), "2"),
        (_object(".text", main=assemble("r0 = r2\nexit")), "3"),
        (_object("xdp", main=assemble("r1 = *(u32 *)(r1 + 4)\nr0 = r1\nexit")), "30000103"),
    ],
)
def test_the_plugin_runs_main_of_an_object(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert plugin(["aa  bb  cc  ", "--elf"]) == 0
    assert capsys.readouterr().out.strip() == expected


def test_the_plugin_reads_objects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(fixture("xdp_pass").read_bytes().hex()))
    assert plugin(["--elf"]) == 0
    assert capsys.readouterr().out == "2\n"
