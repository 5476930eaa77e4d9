"""Sockets on the host, as programs find them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT = 1, 2, 3, 4, 5, 6
CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING, NEW_SYN_RECV = 7, 8, 9, 10, 11, 12
_PROTOCOLS = {"tcp": (6, 1), "udp": (17, 2)}  # protocol and type


@dataclass(eq=False)
class Socket:
    """A socket: `local` and `remote` are an address and a port; no `remote` for a listener.

    `state` is one of TCP's numbers; `options` are those that programs get and set, by level and
    name.
    """

    protocol: str = "tcp"
    local: tuple[str, int] = ("0.0.0.0", 0)  # noqa: S104 (no address, not all of them)
    remote: tuple[str, int] | None = None
    state: int = 0  # 0: ESTABLISHED with a remote end, else LISTEN, for UDP CLOSE
    ifindex: int = 0
    mark: int = 0
    priority: int = 0
    uid: int = 0
    cookie: int = 0
    rx_queue: int = -1
    cgroup: int = 1
    kernel: bytes = b""  # the kernel's own structure, for programs that read it
    options: dict[tuple[int, int], bytes] = field(default_factory=dict)
    tcp: dict[str, int] = field(default_factory=dict)  # fields of `struct bpf_tcp_sock`

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        if self.protocol not in _PROTOCOLS:
            raise ValueError(f"a socket's protocol is tcp or udp, not {self.protocol!r}")
        ip_address(self.local[0])
        if self.remote is not None:
            ip_address(self.remote[0])
        if not self.state:
            connected = ESTABLISHED if self.remote else LISTEN
            self.state = connected if self.protocol == "tcp" or self.remote else CLOSE

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return 2 if ip_address(self.local[0]).version == 4 else 10

    def pack(self) -> bytes:
        """It as a `struct bpf_sock`."""
        protocol, kind = _PROTOCOLS[self.protocol]
        words = self.ifindex, self.family, kind, protocol, self.mark, self.priority
        head = b"".join(word.to_bytes(4, "little") for word in words)
        remote = self.remote or ("0.0.0.0" if self.family == 2 else "::", 0)  # noqa: S104
        return b"".join(
            (
                head,
                _addresses(self.local[0]),
                self.local[1].to_bytes(4, "little"),
                remote[1].to_bytes(2, "big"),
                bytes(2),
                _addresses(remote[0]),
                self.state.to_bytes(4, "little"),
                self.rx_queue.to_bytes(4, "little", signed=True),
            )
        )


def _addresses(text: str) -> bytes:
    """An address as the structure holds it: four bytes for IPv4, sixteen for IPv6."""
    address = ip_address(text)
    if address.version == 4:
        return address.packed + bytes(16)
    return bytes(4) + address.packed


class Sockets(list[Socket]):
    """The host's sockets."""

    def find(
        self, protocol: str, source: tuple[str, int], target: tuple[str, int]
    ) -> Socket | None:
        """The socket that a packet from `source` to `target` belongs to.

        A connected socket goes before one that only listens, one bound to the address before one
        bound to all.
        """
        best = max(self._fitting(protocol, source, target), key=lambda pair: pair[0], default=None)
        return best[1] if best else None

    def _fitting(
        self, protocol: str, source: tuple[str, int], target: tuple[str, int]
    ) -> Iterable[tuple[int, Socket]]:
        for each in self:
            if each.protocol != protocol or each.local[1] != target[1]:
                continue
            own, wanted = ip_address(each.local[0]), ip_address(target[0])
            exact = own == wanted
            if not exact and not (own.is_unspecified and own.version >= wanted.version):
                continue  # `::` takes IPv4, too, but 0.0.0.0 no IPv6
            if each.remote is None:
                yield 1 + exact, each
            elif (ip_address(each.remote[0]), each.remote[1]) == (
                ip_address(source[0]),
                source[1],
            ):
                yield 3 + exact, each
