"""Object files: what clang made, read, linked, named, and bound to hooks so that it runs.

strings, elf, btf, btf_ext           bytes to values, `ObjectError` for everything malformed
sections, customs, functions         what is a program, of which type
references, core_*, linker           what code refers to, CO-RE, code in one piece
codecs, records, typed               how Python sees C's values
legacy_maps, btf_maps, variables,
externs, tail_calls                  what else an object says of its surroundings
loader                               all of that from a file, as data: `read_object`
data, resolver, binding, programs,
object                               placed in a space, bound to it, ready to run: `load`
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
