"""Both text dialects, both ways: the assembler and the disassembler.

Everything here is derived from the templates of the instruction table.
"""

from drybpf.asm.assembler import assemble
from drybpf.asm.listing import HighLevelInsn, to_insn_vec, to_json
from drybpf.asm.printer import Dialect, disassemble, format_instruction

__all__ = [
    "Dialect",
    "HighLevelInsn",
    "assemble",
    "disassemble",
    "format_instruction",
    "to_insn_vec",
    "to_json",
]
