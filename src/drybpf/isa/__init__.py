"""The instruction set of RFC 9669: one table, and what follows from it.

Nothing here knows of memory, engines or text; everything else in drybpf reads these rows.
"""

from drybpf.isa.instruction import Instruction, decode, encode
from drybpf.isa.table import ROWS, Row, lookup

__all__ = ["ROWS", "Instruction", "Row", "decode", "encode", "lookup"]
