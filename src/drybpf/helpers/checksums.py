"""The checksum of the Internet (RFC 1071), as the kernel's helpers compute and change it.

Sums are of 16-bit words as they lie in memory, taken as little-endian numbers.
"""

from __future__ import annotations

from drybpf.helpers.arguments import M32, u32
from drybpf.helpers.errno import EACCES, EFAULT, EINVAL, ENOTSUPP
from drybpf.helpers.packet import load_bytes, store_bytes
from drybpf.helpers.skb import (
    CHECKSUM_COMPLETE,
    CHECKSUM_NONE,
    CHECKSUM_PARTIAL,
    CHECKSUM_UNNECESSARY,
    skb_of,
)
from drybpf.state import Context


def sum32(data: bytes, seed: int = 0) -> int:
    """The sum of a buffer in ones' complement of 32 bits, added to a seed."""
    padded = data + bytes(-len(data) % 4)
    total = seed + sum(
        int.from_bytes(padded[begin : begin + 4], "little") for begin in range(0, len(padded), 4)
    )
    while total >> 32:
        total = (total & M32) + (total >> 32)
    return total


def add32(left: int, right: int) -> int:
    """The sum of two sums."""
    total = left + right
    return (total & M32) + (total >> 32)


def fold(total: int) -> int:
    """A sum of 32 bits as one of 16."""
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


def csum_diff(
    context: Context, before: int, before_size: int, after: int, after_size: int, seed: int
) -> int:
    """The sum that takes some bytes out of a checksum and puts others in, in 16 bits.

    As in kernels from 6.13 on; older ones gave 32 bits and refused sizes that 4 does not divide.
    """
    old, new = context.read(before, u32(before_size)), context.read(after, u32(after_size))
    total = u32(seed)
    if old and new:
        total = add32(sum32(new, total), ~sum32(old) & M32)
    elif new:
        total = sum32(new, total)
    elif old:
        total = ~sum32(old, ~total & M32) & M32
    return fold(total)


def csum_fold(total: int) -> int:
    """The checksum field for a sum of 32 bits: its complement in 16."""
    return ~fold(total) & 0xFFFF


_FIELD_SIZE = 0xF  # BPF_F_HDR_FIELD_MASK
_PSEUDO, _MANGLED_0, _ENFORCE, _IPV6 = 0x10, 0x20, 0x40, 0x80
_NO_SUM, _MANGLED = 0, 0xFFFF


def l3_csum_replace(
    context: Context, _skb: int, offset: int, before: int, after: int, flags: int
) -> int:
    """Put a changed field into the checksum at an offset; 0 or a negative error.

    The flags give the field's size, 2 or 4; with 0 `after` is a sum from `bpf_csum_diff`.
    """
    if flags & ~_FIELD_SIZE:
        return -EINVAL
    found = _checksum_at(context, u32(offset))
    if found is None:
        return -EFAULT
    changed = _replace(found, before, after, flags & _FIELD_SIZE)
    if changed is None:
        return -EINVAL
    store_bytes(context, u32(offset), changed.to_bytes(2, "little"))
    return 0


def l4_csum_replace(
    context: Context, _skb: int, offset: int, before: int, after: int, flags: int
) -> int:
    """The same for TCP and UDP: fields of the pseudo header, and UDP's sum that may be absent."""
    if flags & ~(_FIELD_SIZE | _PSEUDO | _MANGLED_0 | _ENFORCE | _IPV6):
        return -EINVAL
    found = _checksum_at(context, u32(offset))
    if found is None:
        return -EFAULT
    if flags & _MANGLED_0 and not flags & _ENFORCE and found == _NO_SUM:
        return 0
    size = flags & _FIELD_SIZE
    changed = _replace(found, before, after, size, exact=False)
    if changed is None:
        return -EINVAL
    skb = skb_of(context)
    if skb.checksum == CHECKSUM_PARTIAL:
        changed = found
        if flags & _PSEUDO:
            changed = _replace_partial(found, before, after, size)
    elif skb.checksum == CHECKSUM_COMPLETE and flags & _PSEUDO:
        skb.complete = _replace_complete(skb.complete, before, after, size, flags)
    if flags & _MANGLED_0 and changed == _NO_SUM:
        changed = _MANGLED
    store_bytes(context, u32(offset), changed.to_bytes(2, "little"))
    return 0


def _checksum_at(context: Context, offset: int) -> int | None:
    """The checksum at an even offset; None where there is none."""
    data = load_bytes(context, offset, 2) if offset <= 0xFFFF and not offset % 2 else None
    return None if data is None else int.from_bytes(data, "little")


def _fields(before: int, after: int, size: int) -> tuple[int, int]:
    mask = (1 << 8 * size) - 1
    return before & mask, after & mask


def _replace(found: int, before: int, after: int, size: int, *, exact: bool = True) -> int | None:
    """A checksum with a field replaced; None where the size is none or `before` has no place."""
    if size == 0:
        return None if before else csum_fold(add32(u32(after), ~found & M32))
    if size not in (2, 4):
        return None
    old, new = _fields(before, after, size)
    if size == 2 and exact:  # in 16 bits, which tells 0 from 0xffff another way
        return ~_add16(_add16(~found & 0xFFFF, ~old & 0xFFFF), new) & 0xFFFF
    return csum_fold(add32(add32(~found & M32, ~old & M32), new))


def _add16(left: int, right: int) -> int:
    total = left + right
    return (total & 0xFFFF) + (total >> 16)


def _replace_partial(found: int, before: int, after: int, size: int) -> int:
    """The sum over the pseudo header alone, which is what stands there until the card adds."""
    if size == 0:
        return ~csum_fold(add32(u32(after), found)) & 0xFFFF
    old, new = _fields(before, after, size)
    return ~csum_fold(add32(add32(found, ~old & M32), new)) & 0xFFFF


def _replace_complete(complete: int, before: int, after: int, size: int, flags: int) -> int:
    """The card's sum over the whole packet, after its pseudo header has changed."""
    if size == 0:
        return complete if flags & _IPV6 else ~add32(u32(after), ~complete & M32) & M32
    old, new = _fields(before, after, size)
    return ~add32(add32(~complete & M32, ~old & M32), new) & M32


def csum_update(context: Context, _skb: int, total: int, *_: int) -> int:
    """Add to the card's sum over the packet; -ENOTSUPP where there is none."""
    skb = skb_of(context)
    if skb.checksum != CHECKSUM_COMPLETE:
        return -ENOTSUPP
    skb.complete = add32(skb.complete, u32(total))
    return skb.complete


def csum_level(context: Context, _skb: int, operation: int, *_: int) -> int:
    """Ask about (0), raise (1), lower (2) or reset (3) how many checksums are known to be right."""
    skb = skb_of(context)
    known = skb.checksum == CHECKSUM_UNNECESSARY
    if operation == 0:
        return skb.level if known else -EACCES
    if operation not in (1, 2, 3):
        return -EINVAL
    if operation == 1:
        if known:
            skb.level = min(skb.level + 1, 3)
        elif skb.checksum == CHECKSUM_NONE:
            skb.checksum, skb.level = CHECKSUM_UNNECESSARY, 0
    elif known:
        lowered = operation == 2 and skb.level
        skb.checksum = CHECKSUM_UNNECESSARY if lowered else CHECKSUM_NONE
        skb.level = skb.level - 1 if lowered else 0
    return 0
