"""Object files: what clang made, read, linked and named.

strings, elf, btf, btf_ext      bytes to values, `ObjectError` for everything malformed
sections, functions, references what is a program, of which type, and what it refers to
linker, namespace, loader       programs by name
"""

from drybpf.objects.linker import LinkedProgram
from drybpf.objects.loader import Object, load
from drybpf.objects.references import Reference
from drybpf.objects.sections import ProgramType, program_type

__all__ = ["LinkedProgram", "Object", "ProgramType", "Reference", "load", "program_type"]
