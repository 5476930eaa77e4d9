"""The committed objects and the recording are what their sources say, and hold what tests need."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from drybpf.isa import decode
from drybpf.packets import read_capture
from firewall_reference import ABORTED, DROP, PASS, TX, expected
from support import FIREWALL, OBJECTS, ROOT, TRAFFIC, fixture

# fixture → its functions by section, and some instructions that must be in it
CONTENTS = {
    "judge_calls": (
        {
            ".text": ["fire", "mix", "outer_step", "step", "visible"],
            "xdp": [
                "judge_locks",
                "judge_loops",
                "judge_tail_calls",
                "judge_tail_target",
                "judge_timers",
                "judge_variables",
            ],
        },
        {"call", "lddw", "call local"},
    ),
    "judge_maps": (
        {".text": ["visit"], "xdp": ["judge_maps", "judge_odd_sizes"]},
        {"call", "lddw"},
    ),
    "judge_socket": (
        {
            "socket": [
                "judge_fields",
                "judge_first",
                "judge_loads",
                "judge_old_loads",
                "judge_second",
            ]
        },
        {"ldindh", "ldabsb"},
    ),
    "judge_system": ({"tc": ["judge_sockets"], "xdp": ["judge_system"]}, {"call", "lddw"}),
    "judge_tc": (
        {
            ".text": ["read_request"],
            "tc": [
                "judge_checksum_fields",
                "judge_direct",
                "judge_fields",
                "judge_head",
                "judge_protocol",
                "judge_redirects",
                "judge_room",
                "judge_store",
                "judge_tail",
                "judge_vlan",
            ],
        },
        {"call", "lddw"},
    ),
    "judge_xdp": (
        {
            "xdp": [
                "judge_adjust",
                "judge_bytes",
                "judge_checksums",
                "judge_dynptr",
                "judge_events",
                "judge_redirect",
                "judge_ring",
                "judge_texts",
            ]
        },
        {"call", "lddw"},
    ),
    "map_operations": (
        {
            "xdp": [
                "array_100000_lookup",
                "array_100000_update",
                "array_1000_lookup",
                "array_1000_update",
                "hash_100000_lookup",
                "hash_100000_update",
                "hash_1000_lookup",
                "hash_1000_update",
                "loop",
                "lpm_trie_100000_lookup",
                "lpm_trie_100000_update",
                "lpm_trie_1000_lookup",
                "lpm_trie_1000_update",
                "lru_hash_100000_lookup",
                "lru_hash_100000_update",
                "lru_hash_1000_lookup",
                "lru_hash_1000_update",
            ]
        },
        {"call", "lddw"},
    ),
    "load_core": (
        {"test": ["access", "ask", "ask_kernel", "reach_missing"]},
        {"lddw", "mov64", "ldxw", "stxw"},
    ),
    "load_core_target": ({"test": ["nothing"]}, {"lddw"}),
    "load_externs": (
        {
            "test": [
                "call_helper",
                "call_kernel",
                "call_memory",
                "call_nobody",
                "call_optional",
                "needed_symbol",
                "read_config",
                "read_unknown",
                "weak_symbol",
            ]
        },
        {"call local", "lddw"},
    ),
    "load_maps": ({"xdp": ["count", "enter", "leaf", "middle", "nested"]}, {"call", "lddw"}),
    "load_tails": (
        {"xdp": ["again", "by_user", "first"], "xdp/tail": ["forever", "tagged"]},
        {"call", "lddw"},
    ),
    "load_globals": (
        {"test": ["count", "follow", "read_hidden", "write_constant"]},
        {"lddw", "ldxh"},
    ),
    "socket_filter_len": (
        {"socket": ["socket_filter_len", "socket_filter_udp"]},
        {"ldabsh", "ldabsb"},
    ),
    "xdp_adjust": ({"xdp": ["xdp_pop_ethernet", "xdp_push_vlan", "xdp_resize"]}, {"call"}),
    "xdp_bad_access": ({"xdp": ["xdp_off_by_one", "xdp_past_end", "xdp_unchecked"]}, {"ldxb"}),
    "xdp_local_calls": (
        {
            ".text": ["sum16", "sum4", "triple"],
            "functions": ["sum8"],
            "xdp": ["xdp_local_calls", "xdp_tripled"],
        },
        {"call local"},
    ),
    "xdp_loop": ({"xdp": ["xdp_loop"]}, {"jne", "lddw"}),
    "xdp_parser": ({"xdp": ["xdp_parser"]}, {"be16"}),
    "xdp_pass": ({"xdp": ["xdp_pass"]}, {"mov32", "exit"}),
    "xdp_rewrite": ({"xdp": ["xdp_rewrite"]}, {"stxb"}),
    "xdp_two_programs": ({"xdp": ["xdp_first", "xdp_second"]}, {"ldxw"}),
    "xdp_v4": (
        {".text": ["divide"], "xdp": ["xdp_v4"]},
        {"ldxsb", "movsx832", "movsx1664", "movsx3264", "sdiv32", "smod64", "bswap32", "ja32"},
    ),
}


def test_objects_match_their_sources() -> None:
    command = [sys.executable, str(ROOT / "tools" / "build_fixtures.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    examples = len(list((ROOT / "examples").rglob("*.c")))
    assert len(result.stdout.splitlines()) == len(CONTENTS) + examples


def test_every_fixture_is_described() -> None:
    assert sorted(path.stem for path in OBJECTS.glob("*.o")) == sorted(CONTENTS)


@pytest.mark.parametrize("name", CONTENTS)
def test_contents(name: str) -> None:
    functions, mnemonics = CONTENTS[name]
    found: dict[str, list[str]] = {}
    written: set[str] = set()
    with fixture(name).open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        for symbol in symbols.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC":
                section = elf.get_section(symbol["st_shndx"])
                start, size = symbol["st_value"], symbol["st_size"]
                code = section.data()[start : start + size]
                rows = [instruction.row for instruction in decode(code)]
                written |= {row.mnemonic if row else "invalid" for row in rows}
                found.setdefault(section.name, []).append(symbol.name)
    assert {section: sorted(names) for section, names in found.items()} == functions
    assert "invalid" not in written
    assert mnemonics <= written


def test_no_path_of_the_building_machine() -> None:
    for path in [FIREWALL, *OBJECTS.glob("*.o")]:
        assert not re.search(rb"\0/[\w.-]{2,}/", path.read_bytes()), path.name


def test_the_recording_has_something_for_every_verdict() -> None:
    verdicts = Counter(expected(packet.data)[0] for packet in read_capture(TRAFFIC))
    assert verdicts == {PASS: 60, DROP: 11, ABORTED: 4, TX: 2}
    assert TRAFFIC.stat().st_size < 60_000
