"""What each instruction does, as a formula for people: reference page and docstrings show it.

`u32(x)` is the low half of x with the upper half zero, `s8(x)` … are signed readings,
`*(u16 *)p` is the number stored at p.  Immediates are sign-extended where 64 bits are meant.
"""

from __future__ import annotations

from drybpf.isa.table import ALU32, Row

# fmt: off
_OPERATIONS = {  # of two operands; {m} masks a shift count
    "add":  "dst + {x}",
    "sub":  "dst - {x}",
    "mul":  "dst * {x}",
    "div":  "dst / {x}, 0 if {x} is 0",
    "sdiv": "dst s/ {x} (towards zero), 0 if {x} is 0",
    "or":   "dst | {x}",
    "and":  "dst & {x}",
    "lsh":  "dst << ({x} & {m})",
    "rsh":  "dst >> ({x} & {m})",
    "mod":  "dst % {x}, dst if {x} is 0",
    "smod": "dst s% {x} (sign of dst), dst if {x} is 0",
    "xor":  "dst ^ {x}",
    "mov":  "{x}",
    "arsh": "dst s>> ({x} & {m})",
    "neg":  "-dst",
}
_CONDITIONS = {
    "jeq": "dst == {x}", "jne": "dst != {x}", "jset": "dst & {x}",
    "jgt": "dst > {x}", "jge": "dst >= {x}", "jlt": "dst < {x}", "jle": "dst <= {x}",
    "jsgt": "dst s> {x}", "jsge": "dst s>= {x}", "jslt": "dst s< {x}", "jsle": "dst s<= {x}",
}
_SWAPS = {"le": "little-endian", "be": "big-endian", "bswap": "byte-swapped"}
_WHOLE = {
    "ja": "pc += {target}",
    "call_helper": "r0 = helper {x}(r1, r2, r3, r4, r5)",
    "call_local": "r0 = the function at pc + function (r1, r2, r3, r4, r5)",
    "call_runtime": "r0 = runtime function {x}(r1, r2, r3, r4, r5)",
    "callx": "r0 = the helper whose number is in dst (r1, r2, r3, r4, r5)",
    "exit": "return r0",
    "lddw_imm64": "dst = imm64",
    "lddw_map_by_fd": "dst = map with file descriptor number",
    "lddw_map_val_by_fd": "dst = address of the first value of map number + value_offset",
    "lddw_var_addr": "dst = address of platform variable number",
    "lddw_code_addr": "dst = address of the instruction at pc + code",
    "lddw_map_by_idx": "dst = map with index number",
    "lddw_map_val_by_idx": "dst = address of the first value of map index number + value_offset",
}
_ATOMICS = {"add": "+=", "or": "|=", "and": "&=", "xor": "^="}
# fmt: on


def formula(row: Row, second: str = "") -> str:
    """Describe a row in one line; `second` names the second operand if not by its field."""
    x = second or ("src" if "src" in row.operands else "imm")
    key = row.semantics
    if key in _WHOLE:
        return _WHOLE[key].format(x=x, target=row.operands[0] if row.operands else "")
    if key.endswith("_atomic"):
        return _atomic(key.removesuffix("_atomic"))
    operation, bits = key[:-2], key[-2:]
    if operation in _CONDITIONS:
        halves = " (low halves)" if bits == "32" else ""
        return f"if {_CONDITIONS[operation].format(x=x)}{halves}: pc += target"
    if operation in _SWAPS:
        return f"dst = the low {bits} bits of dst, {_SWAPS[operation]}"
    if operation in _OPERATIONS:
        value = _OPERATIONS[operation].format(x=x, m=int(bits) - 1)
    elif key.startswith("movsx"):
        value = f"s{key[5:].removesuffix('32' if row.opcode & 7 == ALU32 else '64')}(src)"
    else:
        return _access(row, x)
    return f"dst = {value}; 32 bits, upper half 0" if row.opcode & 7 == ALU32 else f"dst = {value}"


def _access(row: Row, x: str) -> str:
    """A load or a store; the width stands at the end of its key."""
    bits = row.semantics.lstrip("abcdefghijklmnopqrstuvwxyz")
    if row.semantics.startswith("ldabs"):
        return f"r0 = *(u{bits} *)(packet + imm), big-endian; exit with 0 if outside"
    if row.semantics.startswith("ldind"):
        return f"r0 = *(u{bits} *)(packet + src + imm), big-endian; exit with 0 if outside"
    if row.semantics.startswith("ldx"):
        sign = "s" if row.semantics.startswith("ldxs") else "u"
        return f"dst = *({sign}{bits} *)(src + offset)"
    return f"*(u{bits} *)(dst + offset) = {x}"


def _atomic(key: str) -> str:
    name, bits = key[:-2], key[-2:]
    place = f"*(u{bits} *)(dst + offset)"
    if name == "xchg":
        return f"{place} and src exchanged, atomically"
    if name == "cmpxchg":
        return f"{place} = src if it is r0; r0 = the old value, atomically"
    fetched = "; src = the old value" if name.startswith("fetch_") else ""
    return f"{place} {_ATOMICS[name.removeprefix('fetch_')]} src{fetched}, atomically"
