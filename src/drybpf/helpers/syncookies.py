"""SYN cookies: sequence numbers from which a connection can be made again.

The kernel's depend on a secret and the time; these depend on the connection alone.
"""

from __future__ import annotations

from zlib import crc32

from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import EACCES, EINVAL, ENOENT, EPROTONOSUPPORT
from drybpf.helpers.sockets import socket_at
from drybpf.host import Socket
from drybpf.host.sockets import LISTEN
from drybpf.state import Context

_MSS = {4: (536, 1300, 1440, 1460), 6: (1220, 1400, 1440, 1480)}  # the kernel's tables
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_INET6 = 10


def _cookie(ip: bytes, tcp: bytes) -> int:
    """The cookie of a connection, from the headers of a packet of the client's."""
    ends = ip[12:20] if ip[0] >> 4 == 4 else ip[8:40]
    return crc32(ends + tcp[:4]) & ~3


def _generated(ip: bytes, tcp: bytes) -> int:
    """Cookie and segment size for a SYN, `cookie | size << 32`."""
    sizes = _MSS[ip[0] >> 4]
    asked = _segment_size(tcp) or sizes[0]
    index = max((i for i, size in enumerate(sizes) if size <= asked), default=0)
    return _cookie(ip, tcp) | index | sizes[index] << 32


def _segment_size(tcp: bytes) -> int:
    """The segment size that the options ask for; 0 where they do not."""
    place, end = 20, (tcp[12] >> 4) * 4
    while place < min(end, len(tcp)):
        kind = tcp[place]
        if kind == 0:
            break
        size = 1 if kind == 1 else tcp[place + 1] if place + 1 < len(tcp) else 0
        if kind == 2 and size == 4:
            return int.from_bytes(tcp[place + 2 : place + 4], "big")
        if size < 1:
            break
        place += size
    return 0


def _returned(ip: bytes, tcp: bytes) -> bool:
    """Whether an ACK brings the cookie back."""
    acknowledged = int.from_bytes(tcp[8:12], "big") - 1 & 0xFFFF_FFFF
    return acknowledged & ~3 == _cookie(ip, tcp)


def _headers(
    context: Context, ip: int, ip_size: int, tcp: int, tcp_size: int
) -> tuple[bytes, bytes, int]:
    """Both headers, and why they cannot be used; 0 where they can."""
    network, transport = context.read(ip, u32(ip_size)), context.read(tcp, u32(tcp_size))
    if len(network) < 20 or len(transport) < 20:
        return network, transport, EINVAL
    if network[0] >> 4 not in _MSS:
        return network, transport, EPROTONOSUPPORT
    short = network[0] >> 4 == 6 and len(network) < 40
    return network, transport, EINVAL if short else 0


def _listens(socket: Socket, network: bytes) -> bool:
    """Whether a socket is one that can be asked about a packet of that version."""
    other = bool(network) and network[0] >> 4 == 6 and socket.family != _INET6
    return socket.protocol == "tcp" and socket.state == LISTEN and not other


def tcp_gen_syncookie(
    context: Context, pointer: int, ip: int, ip_size: int, tcp: int, tcp_size: int
) -> int:
    """The cookie and the segment size that answer a SYN for a listener, or a negative error."""
    network, transport, error = _headers(context, ip, ip_size, tcp, tcp_size)
    socket = socket_at(context, pointer)
    if len(transport) < 20 or len(transport) != (transport[12] >> 4) * 4:
        return -EINVAL
    if not _listens(socket, network) or transport[13] & (_SYN | _ACK | _RST | _FIN) != _SYN:
        return -EINVAL
    if error:
        return -error
    return _generated(network, transport)


def tcp_check_syncookie(
    context: Context, pointer: int, ip: int, ip_size: int, tcp: int, tcp_size: int
) -> int:
    """Whether an ACK for a listener brings its cookie back: 0, or -ENOENT."""
    network, transport, error = _headers(context, ip, ip_size, tcp, tcp_size)
    socket = socket_at(context, pointer)
    if len(transport) < 20 or not _listens(socket, network):
        return -EINVAL
    if not transport[13] & _ACK or transport[13] & (_RST | _SYN):
        return -ENOENT
    if error:
        return -error
    return 0 if _returned(network, transport) else -ENOENT


def _raw(context: Context, ip: int, size: int, tcp: int, tcp_size: int) -> tuple[bytes, bytes]:
    return context.read(ip, size), context.read(tcp, tcp_size)


def _generate(context: Context, ip: int, size: int, tcp: int, tcp_size: int) -> int:
    network, transport = _raw(context, ip, size, tcp, max(u32(tcp_size), 20))
    if u32(tcp_size) != (transport[12] >> 4) * 4 or u32(tcp_size) < 20:
        return -EINVAL
    version = bytes(((4 if size == 20 else 6) << 4,))
    return _generated(version + network[1:], transport)


def tcp_raw_gen_syncookie_ipv4(context: Context, ip: int, tcp: int, tcp_size: int, *_: int) -> int:
    """The cookie and the segment size that answer a SYN over IPv4, or a negative error."""
    return _generate(context, ip, 20, tcp, tcp_size)


def tcp_raw_gen_syncookie_ipv6(context: Context, ip: int, tcp: int, tcp_size: int, *_: int) -> int:
    """The cookie and the segment size that answer a SYN over IPv6, or a negative error."""
    return _generate(context, ip, 40, tcp, tcp_size)


def _check(context: Context, ip: int, size: int, tcp: int) -> int:
    network, transport = _raw(context, ip, size, tcp, 20)
    version = bytes(((4 if size == 20 else 6) << 4,))
    return 0 if _returned(version + network[1:], transport) else -EACCES


def tcp_raw_check_syncookie_ipv4(context: Context, ip: int, tcp: int, *_: int) -> int:
    """Whether an ACK over IPv4 brings its cookie back: 0, or -EACCES."""
    return _check(context, ip, 20, tcp)


def tcp_raw_check_syncookie_ipv6(context: Context, ip: int, tcp: int, *_: int) -> int:
    """Whether an ACK over IPv6 brings its cookie back: 0, or -EACCES."""
    return _check(context, ip, 40, tcp)
