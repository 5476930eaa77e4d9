"""Other spellings that the assembler reads: templates like those of the instruction table.

An operand may name the class of tokens it is limited to: `{target:signed}`, `{function:name}`.
`{_:name}` is a name that means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from drybpf.isa import ROWS, Row

_SPELLINGS = {  # what a row writes in the ubpf dialect: how else it is read
    "bswap16 {dst}": ("swap16 {dst}",),
    "bswap32 {dst}": ("swap32 {dst}",),
    "bswap64 {dst}": ("swap64 {dst}",),
    "call {imm}": ("call helper {imm}",),
    "call local {function}": (
        "call {function:name}",
        "call pc{function:signed}",  # the kernel's log
        "callx {function}",  # rbpf
    ),
    "callx {dst}": ("call {dst}",),
    "lock add32 [{dst}{offset}], {src}": ("stxxaddw [{dst}{offset}], {src}",),  # rbpf
    "lock add [{dst}{offset}], {src}": ("stxxadddw [{dst}{offset}], {src}",),
}


def aliases() -> Iterator[tuple[str, Row]]:
    """Yield every other spelling, with the row that it stands for."""
    for row in ROWS:
        for spelling in _SPELLINGS.get(row.ubpf, ()):
            yield spelling, row
        bare = _bare(row)
        if bare:
            yield bare, row
        for llvm in _llvm(row):
            yield llvm, row


def _bare(row: Row) -> str:
    """`mov` for `mov64`: operations without a width are the 64-bit ones."""
    operation = row.mnemonic.removesuffix("64")
    if operation == row.mnemonic or row.opcode & 0xF0 == 0xD0 or "movsx" in operation:
        return ""
    return f"{operation} {row.form}"


def _llvm(row: Row) -> Iterator[str]:
    """What LLVM and the kernel's log write beside the row's own text."""
    text = row.llvm
    for target in ("target", "long_target"):
        if f"{{{target}}}" in text:
            yield text.replace(f"{{{target}}}", f"pc{{{target}:signed}}")
            yield f"{text} <{{_:name}}>"  # llvm-objdump repeats the target as a symbol
            yield f"{text} <{{_:name}}{{_:signed}}>"
    if "{displacement}" in text:
        yield text.replace("{displacement}", " + {displacement:signed}")  # the kernel: `r1 + -5`
    if row.semantics in ("ldx8", "ldx16", "ldx32"):
        yield text.replace("{dst}", "{dst32}")
    if row.semantics in ("st8", "st16", "st32"):
        yield text.replace("{src}", "{src32}")
    if row.group.startswith("atomic"):
        yield from _atomic(row, row.group.removeprefix("atomic"))


def _atomic(row: Row, bits: str) -> Iterator[str]:
    """The kernel writes whole registers, and other names for what fetches."""
    text = row.llvm.replace("{src32}", "{src}").replace("w0", "r0")
    kernel = "atomic64_" if bits == "64" else "atomic_"
    yield text
    yield text.replace("atomic_", kernel)
    for name in ("cmpxchg", "xchg"):
        for tail in ("_64", "32_32"):
            exchange = f" {name}{tail}({{dst}}{{offset}}"
            yield text.replace(exchange, f" {kernel}{name}((u{bits} *)({{dst}}{{offset}})")
