"""Object files: what clang made, read, linked, named, and bound to hooks so that it runs.

strings, elf, btf, btf_ext      bytes to values, `ObjectError` for everything malformed
sections, functions, references what is a program, of which type, and what it refers to
linker, namespace, loader       linked code by name: data only
programs                        programs to run by name: `load`
"""

from drybpf.objects.linker import LinkedProgram
from drybpf.objects.loader import ObjectFile, read_object
from drybpf.objects.object import Object, load
from drybpf.objects.programs import ObjectProgram
from drybpf.objects.references import Reference
from drybpf.objects.sections import ProgramType, program_type

__all__ = [
    "LinkedProgram",
    "Object",
    "ObjectFile",
    "ObjectProgram",
    "ProgramType",
    "Reference",
    "load",
    "program_type",
    "read_object",
]
