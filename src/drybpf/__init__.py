"""drybpf: run, test, measure and debug eBPF in user space.

The names below are the public interface.  Each is imported when it is first used, so that
`import drybpf` costs next to nothing; the modules that they come from may be imported as well.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drybpf import builder, errors, helpers
    from drybpf.asm import HighLevelInsn, assemble, disassemble, to_insn_vec, to_json
    from drybpf.batch import PacketBatch, Verdicts
    from drybpf.builder import BpfCode, Builder
    from drybpf.code import Code, SourceLine
    from drybpf.errors import (
        AssemblyError,
        BpfError,
        BudgetExceeded,
        CallDepthExceeded,
        CompileError,
        DecodeError,
        ExecutionError,
        Finding,
        HelperError,
        InvalidInstruction,
        KernelError,
        MemoryFault,
        ObjectError,
        PacketError,
        UnknownHelper,
        VerifierError,
    )
    from drybpf.helpers import Helpers
    from drybpf.hooks import HOOKS, TcAction, XdpAction
    from drybpf.host import Clock, Host, Interface, Network, Process, Route, Socket, TunnelInfo
    from drybpf.objects import Object, ObjectProgram, ProgramType, load
    from drybpf.packets import Capture, Packet, read_capture, write_capture
    from drybpf.program import Program
    from drybpf.result import Result
    from drybpf.state import Context
    from drybpf.topology import Topology
    from drybpf.vm import EbpfVmFixedMbuff, EbpfVmMbuff, EbpfVmNoData, EbpfVmRaw

__version__ = "0.1.0"

__all__ = [
    "HOOKS",
    "AssemblyError",
    "BpfCode",
    "BpfError",
    "BudgetExceeded",
    "Builder",
    "CallDepthExceeded",
    "Capture",
    "Clock",
    "Code",
    "CompileError",
    "Context",
    "DecodeError",
    "EbpfVmFixedMbuff",
    "EbpfVmMbuff",
    "EbpfVmNoData",
    "EbpfVmRaw",
    "ExecutionError",
    "Finding",
    "HelperError",
    "Helpers",
    "HighLevelInsn",
    "Host",
    "Interface",
    "InvalidInstruction",
    "KernelError",
    "MemoryFault",
    "Network",
    "Object",
    "ObjectError",
    "ObjectProgram",
    "Packet",
    "PacketBatch",
    "PacketError",
    "Process",
    "Program",
    "ProgramType",
    "Result",
    "Route",
    "Socket",
    "SourceLine",
    "TcAction",
    "Topology",
    "TunnelInfo",
    "UnknownHelper",
    "Verdicts",
    "VerifierError",
    "XdpAction",
    "__version__",
    "assemble",
    "builder",
    "disassemble",
    "errors",
    "helpers",
    "load",
    "read_capture",
    "to_insn_vec",
    "to_json",
    "write_capture",
]

_MODULES = ("builder", "errors", "helpers")
_HOMES = {
    name: home
    for home, names in {
        "drybpf.asm": "HighLevelInsn assemble disassemble to_insn_vec to_json",
        "drybpf.batch": "PacketBatch Verdicts",
        "drybpf.builder": "BpfCode Builder",
        "drybpf.code": "Code SourceLine",
        "drybpf.errors": (
            "AssemblyError BpfError BudgetExceeded CallDepthExceeded CompileError "
            "DecodeError ExecutionError Finding HelperError InvalidInstruction KernelError "
            "MemoryFault ObjectError PacketError UnknownHelper VerifierError"
        ),
        "drybpf.helpers": "Helpers",
        "drybpf.hooks": "HOOKS TcAction XdpAction",
        "drybpf.host": "Clock Host Interface Network Process Route Socket TunnelInfo",
        "drybpf.objects": "Object ObjectProgram ProgramType load",
        "drybpf.packets": "Capture Packet read_capture write_capture",
        "drybpf.program": "Program",
        "drybpf.result": "Result",
        "drybpf.state": "Context",
        "drybpf.topology": "Topology",
        "drybpf.vm": "EbpfVmFixedMbuff EbpfVmMbuff EbpfVmNoData EbpfVmRaw",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> object:
    """Import a public name from where it is defined (PEP 562)."""
    if name in _MODULES:
        return import_module(f"drybpf.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'drybpf' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
