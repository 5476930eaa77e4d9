"""Building programs by calls: one method a mnemonic (`Builder`), or in rbpf's way (`BpfCode`).

Builder().mov64(R0, 1).exit().to_bytes()
BpfCode().mov(Source.IMM, Arch.X64).set_dst(0).set_imm(1).push().exit().push().to_bytes()
"""

from drybpf.builder.chain import BpfCode, PendingInstruction
from drybpf.builder.choices import Arch, AtomicOp, Cond, Endian, MemSize, Source
from drybpf.builder.code import Register
from drybpf.builder.methods import Builder

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = Register
FP = Register.FP

__all__ = [
    "FP",
    "R0",
    "R1",
    "R2",
    "R3",
    "R4",
    "R5",
    "R6",
    "R7",
    "R8",
    "R9",
    "R10",
    "Arch",
    "AtomicOp",
    "BpfCode",
    "Builder",
    "Cond",
    "Endian",
    "MemSize",
    "PendingInstruction",
    "Register",
    "Source",
]
