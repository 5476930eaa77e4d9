"""Routing: the way that the host would send a packet."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from drybpf.helpers.arguments import field, s32, u32
from drybpf.helpers.errno import EAFNOSUPPORT, EINVAL, ENODEV
from drybpf.helpers.packet import packet_length
from drybpf.helpers.skb import ETHERNET, SkbState
from drybpf.host import Interface, Route
from drybpf.state import Context

_SIZE = 64  # bytes of a struct bpf_fib_lookup
_FAMILIES = {2: 4, 10: 16}  # AF_INET, AF_INET6: bytes of an address
_DIRECT, _OUTPUT, _SKIP_NEIGH, _TBID, _SRC, _MARK = (1 << bit for bit in range(6))
_KNOWN = (1 << 6) - 1
_MAIN = 254  # RT_TABLE_MAIN
(
    _SUCCESS,
    _BLACKHOLE,
    _UNREACHABLE,
    _PROHIBIT,
    _NOT_FORWARDED,
    _FORWARDING_DISABLED,
    _UNSUPPORTED,
    _NO_NEIGHBOUR,
    _FRAGMENTATION_NEEDED,
    _NO_SOURCE,
) = range(10)
_REFUSALS = {"blackhole": _BLACKHOLE, "unreachable": _UNREACHABLE, "prohibit": _PROHIBIT}


@dataclass(slots=True)
class _Question:
    """A `struct bpf_fib_lookup`."""

    data: bytearray

    @property
    def family(self) -> int:
        return self.data[0]

    @property
    def address_size(self) -> int:
        return _FAMILIES[self.family]

    @property
    def total_length(self) -> int:
        return int.from_bytes(self.data[6:8], "little")

    @property
    def ifindex(self) -> int:
        return int.from_bytes(self.data[8:12], "little")

    @property
    def target(self) -> str:
        return str(ip_address(bytes(self.data[32 : 32 + self.address_size])))

    def put(self, offset: int, size: int, value: int) -> None:
        self.data[offset : offset + size] = value.to_bytes(size, "little")

    def put_address(self, offset: int, text: str) -> None:
        packed = ip_address(text).packed
        self.data[offset : offset + len(packed)] = packed


def fib_lookup(context: Context, _ctx: int, address: int, size: int, flags: int, *_: int) -> int:
    """Ask the host's routes for the way of a packet; 0, a reason above 0, or a negative error.

    Where the host has no interfaces at all, nothing is forwarded.
    """
    if s32(size) < _SIZE:
        context.memory.check(address, max(s32(size), 0), write=True)
        return -EINVAL
    context.memory.check(address, _SIZE, write=True)
    if u32(flags) & ~_KNOWN:
        return -EINVAL
    question = _Question(bytearray(context.read(address, _SIZE)))
    if question.family not in _FAMILIES:
        return -EAFNOSUPPORT
    result = _look_up(context, question, u32(flags))
    context.write(address, question.data)
    return result


def _look_up(context: Context, question: _Question, flags: int) -> int:
    network = context.host.network
    arriving = network.interfaces.get(question.ifindex)
    if arriving is None and network.interfaces:
        return -ENODEV
    if arriving is not None and not arriving.forwarding and not flags & _OUTPUT:
        return _FORWARDING_DISABLED
    table = _MAIN
    if flags & _DIRECT and flags & _TBID:  # without the former, rules choose the table
        table = int.from_bytes(question.data[48:52], "little")
        question.put(48, 4, 0)
    route = network.route(question.target, table)
    if route is None or route.kind == "local":
        return _NOT_FORWARDED
    if route.kind in _REFUSALS:
        return _REFUSALS[route.kind]
    leaving = network.interfaces.get(route.ifindex)
    if leaving is None:
        return _NOT_FORWARDED
    return _answer(context, question, route, leaving, flags)


def _answer(
    context: Context, question: _Question, route: Route, leaving: Interface, flags: int
) -> int:
    """Write the way into the question; what the result says."""
    mtu = route.mtu or leaving.mtu
    if question.total_length > mtu:
        question.put(6, 2, mtu)
        return _FRAGMENTATION_NEEDED
    measured = question.total_length != 0
    next_hop = route.via or question.target
    question.put(12, 4, route.metric)
    question.put(8, 4, leaving.ifindex)
    if route.via:
        question.data[0] = 2 if ip_address(route.via).version == 4 else 10
        question.put_address(32, route.via)
    if flags & _SRC:
        source = route.source or next((text.partition("/")[0] for text in leaving.addresses), "")
        if not source or len(ip_address(source).packed) != question.address_size:
            return _NO_SOURCE
        question.put_address(16, source)
    if not flags & _SKIP_NEIGH:
        mac = context.host.network.neighbour(next_hop)
        if mac is None:
            return _NO_NEIGHBOUR
        question.data[52:58], question.data[58:64] = leaving.mac_bytes, mac
    question.put(48, 4, 0)
    question.put(6, 2, mtu if measured else 0)
    return _fits(context, question, leaving, measured=measured)


def _fits(context: Context, question: _Question, leaving: Interface, *, measured: bool) -> int:
    """For a socket buffer without a length in the question, whether the buffer fits."""
    hook = context.state.hook
    if measured or not isinstance(hook, SkbState):
        return _SUCCESS
    question.put(6, 2, leaving.mtu)
    room = leaving.mtu + ETHERNET + 4
    return _SUCCESS if packet_length(context) <= room else _FRAGMENTATION_NEEDED


def check_mtu(
    context: Context, _ctx: int, ifindex: int, length: int, difference: int, flags: int
) -> int:
    """Whether the packet, longer by some bytes, fits an interface: 0, 1, or a negative error."""
    context.memory.check(length, 4, write=True)
    asked, network = context.memory.load(length, 4), context.host.network
    number = u32(ifindex)
    hook = context.state.hook
    own = field(context, "ifindex") or field(context, "ingress_ifindex")
    interface = network.interfaces.get(number or own)
    is_skb = isinstance(hook, SkbState)
    if flags & ~(1 if is_skb else 0) or (flags and (s32(difference) or asked)):
        return -EINVAL
    if number and not context.host.has_interface(number):
        return -ENODEV
    mtu = interface.mtu if interface else 1500
    link = hook.network if isinstance(hook, SkbState) else ETHERNET
    inner = asked or packet_length(context) - link
    context.memory.store(length, 4, mtu)
    total = s32(inner + ETHERNET + s32(difference))  # what comes out negative passes
    return 0 if total <= mtu + ETHERNET else 1
