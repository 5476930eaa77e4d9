"""The builder with one method a mnemonic; the methods are generated from the instruction table."""

from __future__ import annotations

from drybpf.builder._arithmetic import Arithmetic
from drybpf.builder._control import Control
from drybpf.builder._memory import Memory


class Builder(Arithmetic, Control, Memory):
    """A program built by chained calls: `Builder().mov64(R0, 1).label("end").exit().to_bytes()`.

    Operands stand in the order of the `ubpf` text.  Where an instruction has a register and an
    immediate form, `operand` takes either; a target is a distance in slots from the next one, or
    the name of a label.  `TypeError` and `ValueError` come from the call that has the wrong
    operand, those about labels from `to_bytes`.
    """
