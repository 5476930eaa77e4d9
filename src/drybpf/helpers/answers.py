"""What a host without the feature answers: no routes with realms, no transforms, no branches."""

from __future__ import annotations

from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import EINVAL, ENOENT, EOPNOTSUPP
from drybpf.records import Acknowledged
from drybpf.state import Context


def get_route_realm(_: Context, *_rest: int) -> int:
    """The realm of the packet's route, 0 for none."""
    return 0


def skb_get_xfrm_state(context: Context, _skb: int, _index: int, to: int, size: int, _: int) -> int:
    """The packet has come through no transform: -EINVAL and zeros."""
    context.write(to, bytes(u32(size)))
    return -EINVAL


def read_branch_records(
    context: Context, _ctx: int, to: int, size: int, flags: int, *_: int
) -> int:
    """The processor has recorded no branches."""
    context.memory.check(to, u32(size), write=True)
    return -EINVAL if flags & ~1 else -ENOENT


def get_branch_snapshot(context: Context, to: int, size: int, flags: int, *_: int) -> int:
    """The processor has recorded no branches."""
    context.memory.check(to, u32(size), write=True)
    return -EINVAL if flags else -ENOENT


def find_vma(_: Context, *_rest: int) -> int:
    """The simulated process has no map of its memory."""
    return -ENOENT


def ima_inode_hash(context: Context, _inode: int, to: int, size: int, *_: int) -> int:
    """The host does not measure files."""
    context.memory.check(to, u32(size), write=True)
    return -EOPNOTSUPP


def ima_file_hash(context: Context, _file: int, to: int, size: int, *_: int) -> int:
    """The host does not measure files."""
    context.memory.check(to, u32(size), write=True)
    return -EOPNOTSUPP


def kallsyms_lookup_name(
    context: Context, name: int, size: int, flags: int, to: int, *_: int
) -> int:
    """Find the address of a symbol of the host's; 0 or a negative error."""
    context.memory.check(to, 8, write=True)
    text = context.read(name, u32(size))
    context.memory.store(to, 8, 0)
    if flags or text[-1:] != b"\0" or len(text) < 2:
        return -EINVAL
    for address, symbol in context.host.symbols.items():
        if symbol.encode() == text[:-1]:
            context.memory.store(to, 8, address)
            return 0
    return -ENOENT


def tcp_send_ack(context: Context, _tp: int, number: int, *_: int) -> int:
    """Acknowledge up to a number; 0."""
    context.record(Acknowledged(u32(number)))
    return 0
