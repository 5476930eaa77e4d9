"""Small functions of the kernel: iterators over numbers and bits, sections, casts."""

from __future__ import annotations

from struct import Struct

from drybpf.helpers.arguments import map_of, s32, u32
from drybpf.helpers.errno import E2BIG, EINVAL
from drybpf.maps import MapType
from drybpf.state import Context

_NUMBERS = Struct("<ii")  # struct bpf_iter_num: the number at hand, the end
_MOST_NUMBERS = 1 << 23  # BPF_MAX_LOOPS
_BITS = Struct("<QIi")  # struct bpf_iter_bits: the words' address, number of bits, bit at hand
_COUNTED = (
    MapType.HASH,
    MapType.PERCPU_HASH,
    MapType.LRU_HASH,
    MapType.LRU_PERCPU_HASH,
    MapType.HASH_OF_MAPS,
)  # types of maps that count their elements
_MOST_WORDS = 511


def bpf_iter_num_new(context: Context, iterator: int, start: int, end: int, *_: int) -> int:
    """Begin an iteration over the numbers from `start` up to `end`; 0 or a negative error."""
    context.memory.check(iterator, _NUMBERS.size, write=True)
    first, last = s32(start), s32(end)
    error = EINVAL if first > last else E2BIG if last - first > _MOST_NUMBERS else 0
    # The number before the first; a wrapped one is put right when it is counted up.
    numbers = (0, 0) if error else (s32(first - 1), last)
    context.write(iterator, _NUMBERS.pack(*numbers))
    return -error


def bpf_iter_num_next(context: Context, iterator: int, *_: int) -> int:
    """The address of the next number, or 0 behind the last."""
    context.memory.check(iterator, _NUMBERS.size, write=True)
    current, end = _NUMBERS.unpack(context.read(iterator, _NUMBERS.size))
    following = s32(current + 1)
    if following >= end:
        context.write(iterator, bytes(_NUMBERS.size))
        return 0
    context.write(iterator, _NUMBERS.pack(following, end))
    return iterator


def bpf_iter_num_destroy(context: Context, iterator: int, *_: int) -> int:
    """End an iteration."""
    context.write(iterator, bytes(_NUMBERS.size))
    return 0


def bpf_iter_bits_new(context: Context, iterator: int, words: int, count: int, *_: int) -> int:
    """Begin an iteration over the bits that are set in some 8-byte words."""
    context.memory.check(iterator, _BITS.size, write=True)
    error = EINVAL if not words or not u32(count) else E2BIG if u32(count) > _MOST_WORDS else 0
    context.write(iterator, bytes(_BITS.size))
    if error:
        return -error
    copy = context.memory.add("bits", context.read(words, 8 * u32(count)), writable=False)
    context.write(iterator, _BITS.pack(copy.start, 64 * u32(count), -1))
    return 0


def bpf_iter_bits_next(context: Context, iterator: int, *_: int) -> int:
    """The address of the next bit's number, or 0 behind the last."""
    context.memory.check(iterator, _BITS.size, write=True)
    words, count, bit = _BITS.unpack(context.read(iterator, _BITS.size))
    if not words:
        return 0
    bits = int.from_bytes(context.read(words, count // 8), "little") >> bit + 1
    if not bits:
        context.write(iterator, _BITS.pack(words, 0, bit))
        return 0
    bit += (bits & -bits).bit_length()
    context.write(iterator, _BITS.pack(words, count, bit))
    return iterator + 12


def bpf_iter_bits_destroy(context: Context, iterator: int, *_: int) -> int:
    """End an iteration."""
    words, *_rest = _BITS.unpack(context.read(iterator, _BITS.size))
    region = context.memory.dynamic(words)
    if region is not None:
        context.memory.unmap(region)
    context.write(iterator, bytes(_BITS.size))
    return 0


def bpf_rcu_read_lock(_: Context, *_rest: int) -> int:
    """Begin a section in which nothing is freed; here nothing ever is."""
    return 0


def bpf_rcu_read_unlock(_: Context, *_rest: int) -> int:
    """End such a section."""
    return 0


def bpf_preempt_disable(_: Context, *_rest: int) -> int:
    """Keep the CPU; here every run does."""
    return 0


def bpf_preempt_enable(_: Context, *_rest: int) -> int:
    """Give the CPU back."""
    return 0


def bpf_local_irq_save(context: Context, flags: int, *_: int) -> int:
    """Keep interrupts away; here there are none."""
    context.write(flags, bytes(8))
    return 0


def bpf_local_irq_restore(context: Context, flags: int, *_: int) -> int:
    """Let interrupts in again."""
    context.memory.check(flags, 8)
    return 0


def bpf_cast_to_kern_ctx(_: Context, pointer: int, *_rest: int) -> int:
    """The context as the kernel's own structure: the same address."""
    return pointer


def bpf_rdonly_cast(_: Context, pointer: int, *_rest: int) -> int:
    """A pointer as one to another type: the same address."""
    return pointer


def bpf_map_sum_elem_count(context: Context, handle: int, *_: int) -> int:
    """The number of elements in a hash; 0 of other maps, which do not count them."""
    counted = map_of(context, handle)
    return len(counted) if counted.definition.type in _COUNTED else 0
