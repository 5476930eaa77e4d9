"""Sockets: found on the host, shown as a `struct bpf_sock`, given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from drybpf.helpers.arguments import field, refuse, s32, set_field, u32
from drybpf.helpers.errno import (
    EAFNOSUPPORT,
    EEXIST,
    EINVAL,
    EPROTOTYPE,
    ESOCKTNOSUPPORT,
)
from drybpf.host import Socket
from drybpf.host.sockets import LISTEN, NEW_SYN_RECV, TIME_WAIT
from drybpf.records import SocketAssigned
from drybpf.state import Context, Held

_NOBODY = 65534  # the user of a packet without a socket
_REPLACE, _NO_REUSEPORT = 1, 2  # flags of bpf_sk_assign for sk_lookup programs
_TUPLES = {12: 4, 36: 16}  # sizes of a struct bpf_sock_tuple, and of an address in it


def show_socket(context: Context, socket: Socket, *, counted: bool = False) -> int:
    """The address of a socket's structure, mapped when it is first asked for.

    A counted pointer is one that the program must give back with `bpf_sk_release`.
    """
    held = context.state.hook.sockets
    for address, known in held.items():
        if known.socket is socket and not _is_cast(context, address):
            held[address] = replace(known, references=known.references + counted)
            return address
    address = context.memory.add("bpf_sock", socket.pack(), writable=False).start
    held[address] = Held(socket, int(counted))
    return address


def _is_cast(context: Context, address: int) -> bool:
    region = context.memory.dynamic(address)
    return region is not None and region.name != "bpf_sock"


def socket_at(context: Context, address: int) -> Socket:
    """The socket that a pointer means; a fault where it means none."""
    held = context.state.hook.sockets.get(address)
    if held is None:
        raise refuse(context, f"{address:#x} is no socket")
    return held.socket


def current_socket(context: Context) -> Socket | None:
    """The socket that the packet or the call belongs to."""
    return context.state.hook.chosen or context.host.socket


def _find(context: Context, protocol: str, pointer: int, size: int, netns: int, flags: int) -> int:
    size = u32(size)
    data = context.read(pointer, size)
    if size not in _TUPLES or flags or not (s32(netns) < 0 or netns <= 0x7FFF_FFFF):
        return 0
    width = _TUPLES[size]
    source, target = data[:width], data[width : 2 * width]
    ports = data[2 * width :]
    found = context.host.sockets.find(
        protocol,
        (str(ip_address(source)), int.from_bytes(ports[:2], "big")),
        (str(ip_address(target)), int.from_bytes(ports[2:4], "big")),
    )
    return 0 if found is None else show_socket(context, found, counted=True)


def sk_lookup_tcp(
    context: Context, _ctx: int, pointer: int, size: int, netns: int, flags: int
) -> int:
    """The TCP socket for a packet with these ends, or 0; to be given back."""
    return _find(context, "tcp", pointer, size, netns, flags)


def skc_lookup_tcp(
    context: Context, _ctx: int, pointer: int, size: int, netns: int, flags: int
) -> int:
    """The same, where also a socket that is not whole yet, or no longer, would do."""
    return _find(context, "tcp", pointer, size, netns, flags)


def sk_lookup_udp(
    context: Context, _ctx: int, pointer: int, size: int, netns: int, flags: int
) -> int:
    """The UDP socket for a packet with these ends, or 0; to be given back."""
    return _find(context, "udp", pointer, size, netns, flags)


def sk_release(context: Context, pointer: int, *_: int) -> int:
    """Give a socket back; a fault where it was not counted, or given back before."""
    held = context.state.hook.sockets
    known = held.get(pointer)
    if known is None or not known.references:
        raise refuse(context, f"{pointer:#x} is no socket to give back")
    held[pointer] = replace(known, references=known.references - 1)
    region = context.memory.dynamic(pointer)
    if known.references == 1 and region is not None and known.socket is not context.host.socket:
        context.memory.unmap(region)
        del held[pointer]
    return 0


def sk_fullsock(context: Context, pointer: int, *_: int) -> int:
    """The same socket where it is a whole one, or 0."""
    socket = socket_at(context, pointer)
    return 0 if socket.state in (TIME_WAIT, NEW_SYN_RECV) else pointer


def get_listener_sock(context: Context, pointer: int, *_: int) -> int:
    """The same socket where it listens, or 0."""
    return pointer if socket_at(context, pointer).state == LISTEN else 0


_TCP = """
snd_cwnd srtt_us rtt_min snd_ssthresh rcv_nxt snd_nxt snd_una mss_cache ecn_flags rate_delivered
rate_interval_us packets_out retrans_out total_retrans segs_in data_segs_in segs_out data_segs_out
lost_out sacked_out bytes_received bytes_acked dsack_dups delivered delivered_ce icsk_retransmits
"""  # the fields of struct bpf_tcp_sock
_LONG = ("bytes_received", "bytes_acked")  # of 8 bytes; all others have 4


def tcp_sock(context: Context, pointer: int, *_: int) -> int:
    """The address of a TCP socket's `struct bpf_tcp_sock`, or 0."""
    socket = socket_at(context, pointer)
    if socket.protocol != "tcp":
        return 0
    data = b""
    for name in _TCP.split():
        size = 8 if name in _LONG else 4
        data += (socket.tcp.get(name, 0) % (1 << 8 * size)).to_bytes(size, "little")
    return _cast(context, socket, "bpf_tcp_sock", data)


def _cast(context: Context, socket: Socket, name: str, data: bytes) -> int:
    """The address of another structure of a socket, mapped when it is first asked for."""
    held = context.state.hook.sockets
    for address, known in held.items():
        region = context.memory.dynamic(address)
        if known.socket is socket and region is not None and region.name == name:
            return address
    address = context.memory.add(name, data, writable=False).start
    held[address] = Held(socket)
    return address


def _caster(name: str, fits: Callable[[Socket], bool]) -> Callable[..., int]:
    def cast(context: Context, pointer: int, *_: int) -> int:
        known = context.state.hook.sockets.get(pointer)
        if known is None or not fits(known.socket) or not known.socket.kernel:
            return 0
        return _cast(context, known.socket, name, known.socket.kernel)

    cast.__doc__ = f"The kernel's own `struct {name}` of a socket, where the host has it, or 0."
    return cast


def _tcp(socket: Socket) -> bool:
    return socket.protocol == "tcp" and socket.state not in (TIME_WAIT, NEW_SYN_RECV)


skc_to_tcp_sock = _caster("tcp_sock", _tcp)
skc_to_tcp6_sock = _caster("tcp6_sock", lambda s: _tcp(s) and s.family == 10)
skc_to_tcp_timewait_sock = _caster("tcp_timewait_sock", lambda s: s.state == TIME_WAIT)
skc_to_tcp_request_sock = _caster("tcp_request_sock", lambda s: s.state == NEW_SYN_RECV)
skc_to_udp6_sock = _caster("udp6_sock", lambda s: s.protocol == "udp" and s.family == 10)
skc_to_unix_sock = _caster("unix_sock", lambda _: False)
skc_to_mptcp_sock = _caster("mptcp_sock", lambda _: False)


def get_socket_cookie(context: Context, *_: int) -> int:
    """The number of the socket at hand, 0 where there is none."""
    socket = current_socket(context)
    return 0 if socket is None else socket.cookie


def get_socket_uid(context: Context, *_: int) -> int:
    """The user that the packet's socket belongs to, 65534 where there is none."""
    socket = current_socket(context)
    return _NOBODY if socket is None else socket.uid


def get_netns_cookie(context: Context, *_: int) -> int:
    """The number of the network namespace."""
    return context.host.netns_cookie


def sk_assign(context: Context, _ctx: int, pointer: int, flags: int, *_: int) -> int:
    """Give the packet, or the connection that is looked for, to a socket; 0 or an error."""
    hook = context.state.hook
    if hook.program_type == "sk_lookup":
        return _assign_lookup(context, pointer, flags)
    if not pointer or flags:
        return -EINVAL
    socket = socket_at(context, pointer)
    hook.chosen = socket
    context.record(SocketAssigned(socket))
    return 0


def _assign_lookup(context: Context, pointer: int, flags: int) -> int:
    hook = context.state.hook
    socket = socket_at(context, pointer) if pointer else None
    if flags & ~(_REPLACE | _NO_REUSEPORT):
        return -EINVAL
    if socket is not None:
        if socket.protocol == "tcp" and socket.state != LISTEN:
            return -ESOCKTNOSUPPORT
        if {"tcp": 6, "udp": 17}[socket.protocol] != field(context, "protocol"):
            return -EPROTOTYPE
        if socket.family not in (field(context, "family"), 10):
            return -EAFNOSUPPORT
    if hook.chosen is not None and not flags & _REPLACE:
        return -EEXIST
    hook.chosen = socket
    set_field(context, "sk", pointer)
    context.record(SocketAssigned(socket, flags))
    return 0
