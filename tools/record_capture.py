"""Record examples/firewall/traffic.pcap: a little of everything, on a loopback interface.

    sudo python tools/record_capture.py [OUT]

Needs Linux and root. The process moves into a network namespace of its own, so that the recording
holds this program's traffic and nobody else's, and every port is free. TCP, UDP and ICMP come from
ordinary sockets and are answered by the kernel or by the small servers below; what no socket sends
(ARP, fragments, frames that are cut off) is sent as a raw frame.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from drybpf.packets import Packet, write_capture

TRAFFIC = Path(__file__).resolve().parent.parent / "examples" / "firewall" / "traffic.pcap"
LOOPBACK = "lo"
V4, V6 = "127.0.0.1", "::1"
BLOCKED = "127.66.1.9"  # in the prefix to which the firewall lets no UDP
SNAP_LENGTH = 65535
MOST_PACKETS = 500
PATIENCE = 2.0  # seconds, for everything that waits

# <linux/sched.h>, <linux/if_ether.h>, <linux/sockios.h>, <linux/if.h>, <asm-generic/socket.h>
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SO_TIMESTAMPNS = 35


def enter_private_network() -> None:
    """Leave the machine's network for one that has only a loopback interface, and start that."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", LOOPBACK.encode(), 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
        request = struct.pack("16sH14x", LOOPBACK.encode(), flags | IFF_UP)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


class Recorder:
    """A packet socket on the loopback interface; it collects from the moment it is made."""

    def __init__(self) -> None:
        """Open and bind; the kernel queues what arrives until `packets` reads it."""
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((LOOPBACK, ETH_P_ALL))

    def send(self, frame: bytes) -> None:
        """Put a frame on the interface as it is."""
        self.socket.send(frame)

    def packets(self) -> Iterator[Packet]:
        """What has been queued, until nothing comes any more."""
        self.socket.settimeout(PATIENCE / 4)
        for _ in range(2 * MOST_PACKETS):
            try:
                data, ancillary, _, address = self.socket.recvmsg(SNAP_LENGTH, 64)
            except TimeoutError:
                return
            # each frame is seen twice: as it leaves, and as it arrives
            if address[2] != socket.PACKET_OUTGOING:
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
                yield Packet(data, seconds * 1_000_000_000 + nanoseconds, len(data))


def checksum(data: bytes) -> int:
    """The internet checksum, RFC 1071."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@contextlib.contextmanager
def serving(sock: socket.socket, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """Run `answer` in a thread while the block runs; it ends by itself or by its time-out."""
    sock.settimeout(PATIENCE)
    thread = threading.Thread(target=answer, args=(sock,))
    thread.start()
    try:
        yield
    finally:
        thread.join()
        sock.close()


def tcp_conversation(family: int, address: str, port: int) -> None:
    """A connection in which both sides say something."""

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE)
            request = connection.recv(1000)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + request.upper())

    server = socket.create_server((address, port), family=family)
    with serving(server, answer), socket.create_connection((address, port), PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while client.recv(1000):
            pass


def tcp_refused(address: str, port: int) -> None:
    """Knock where nobody listens: a SYN, and a RST for an answer."""
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection((address, port), PATIENCE).close()


def dns_query(name: str) -> bytes:
    """A question for the address of `name`."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0" + b"\0\1\0\1"


def dns_conversation(family: int, address: str) -> None:
    """A question, and the answer that there is no such name."""

    def answer(server: socket.socket) -> None:
        query, client = server.recvfrom(512)
        server.sendto(query[:2] + b"\x81\x83" + query[4:], client)

    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, 53))
    with serving(server, answer), socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(dns_query("firewall.example"), (address, 53))
        client.recv(512)


def udp(family: int, address: str, port: int, payload: bytes) -> None:
    """A datagram to a port where nobody listens: the kernel answers with ICMP."""
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.sendto(payload, (address, port))


def ping_v4(sequence: int) -> None:
    """An echo request, which the kernel answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
        message = struct.pack("!BBHHH", 8, 0, 0, 0xD4, sequence) + b"drybpf" * 4
        sum_ = struct.pack("!H", checksum(message))
        client.sendto(message[:2] + sum_ + message[4:], (V4, 0))


def ping_v6(sequence: int) -> None:
    """The same for IPv6; here the kernel fills in the checksum."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as client:
        client.sendto(struct.pack("!BBHHH", 128, 0, 0, 0xD6, sequence) + b"drybpf" * 4, (V6, 0))


def ethernet(ether_type: int, payload: bytes) -> bytes:
    """A frame as they are on the loopback interface, all addresses zero."""
    return bytes(12) + struct.pack("!H", ether_type) + payload


def ipv4(protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    """An IPv4 packet from and to 127.0.0.1."""
    address = socket.inet_aton(V4)
    total, zero_sum = 20 + len(payload), 0
    fields = (0x45, 0, total, 0xBEEF, fragment, 64, protocol, zero_sum, address, address)
    header = struct.pack("!BBHHHBBH4s4s", *fields)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def strange_frames() -> Iterator[bytes]:
    """Frames that no ordinary socket sends."""
    who_has = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes(6) + socket.inet_aton(V4)
    yield ethernet(0x0806, who_has + bytes(6) + socket.inet_aton("127.0.0.77"))
    datagram = struct.pack("!4H", 40000, 4000, 8 + 48, 0) + b"in two parts" * 4
    yield ethernet(0x0800, ipv4(17, datagram[:32], 0x2000))
    yield ethernet(0x0800, ipv4(17, datagram[32:], 32 // 8))
    yield ethernet(0x0800, ipv4(6, bytes(20))[:11])  # cut off inside the IPv4 header
    yield ethernet(0x0800, ipv4(6, bytes(20))[:30])  # … and inside the TCP header
    yield ethernet(0x0800, b"\x42" + ipv4(17, datagram)[1:])  # a header of 8 bytes
    yield ethernet(0x86DD, b"\x60" + bytes(20))  # cut off inside the IPv6 header
    yield ethernet(0x88CC, b"\x02\x07\x04" + bytes(6) + b"\0\0")  # LLDP
    yield ethernet(0x0800, ipv4(89, bytes(24)))  # OSPF


def make_traffic(recorder: Recorder) -> None:
    """Something for each rule of the firewall."""
    for family, address in ((socket.AF_INET, V4), (socket.AF_INET6, V6)):
        tcp_conversation(family, address, 8080)
        for port in (23, 445, 22):
            tcp_refused(address, port)
        dns_conversation(family, address)
        for port, payload in ((7, b"echo this, please"), (4000, b"ordinary"), (514, b"x" * 700)):
            udp(family, address, port, payload)
    dns_conversation(socket.AF_INET, BLOCKED)
    for port in (7, 4000, 6666):
        udp(socket.AF_INET, BLOCKED, port, b"to the blocked prefix")
    for sequence in range(3):
        ping_v4(sequence)
        ping_v6(sequence)
    for frame in strange_frames():
        recorder.send(frame)


def main(arguments: list[str]) -> int:
    """Record, and write the file."""
    target = Path(arguments[0]) if arguments else TRAFFIC
    enter_private_network()
    recorder = Recorder()
    make_traffic(recorder)
    packets = list(recorder.packets())
    recorder.socket.close()
    write_capture(target, packets, nanoseconds=False)
    print(f"{target}: {len(packets)} packets, {target.stat().st_size} bytes")
    return 0 if len(packets) < MOST_PACKETS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
