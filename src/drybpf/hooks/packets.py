"""Hooks with data that is no socket buffer: messages, options, connections to share out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drybpf.entry import FieldValue, Layout
from drybpf.helpers.sockets import show_socket
from drybpf.hooks.context import ContextHook
from drybpf.hooks.verdicts import CgroupAction, SkAction
from drybpf.state import Context, HookState, State

if TYPE_CHECKING:
    from typing_extensions import Buffer

SK_MSG_MD = Layout(
    "sk_msg_md",
    80,
    """
     0 8   data        data
     8 8   data_end    data_end
    16 4   family
    20 4   remote_ip4  be32
    24 4   local_ip4   be32
    28 4x4 remote_ip6  be32
    44 4x4 local_ip6   be32
    60 4   remote_port be32
    64 4   local_port
    68 4   size
    72 8   sk
    """,
)
"""`struct sk_msg_md`."""

BPF_SOCKOPT = Layout(
    "bpf_sockopt",
    40,
    """
     0 8 sk
     8 8 optval     data
    16 8 optval_end data_end
    24 4 level      rw
    28 4 optname    rw
    32 4 optlen     rw signed
    36 4 retval     rw signed
    """,
)
"""`struct bpf_sockopt`; the packet is the option's value."""

SK_REUSEPORT_MD = Layout(
    "sk_reuseport_md",
    56,
    """
     0 8 data         data
     8 8 data_end     data_end
    16 4 len
    20 4 eth_protocol be16
    24 4 ip_protocol
    28 4 bind_inany
    32 4 hash
    40 8 sk
    48 8 migrating_sk
    """,
)
"""`struct sk_reuseport_md`; the packet begins at the transport header."""


class DataHook(ContextHook):
    """A program on a piece of data of a socket's; `length` is the field with its length."""

    packet_size = 4096
    headroom = 256
    length = ""

    def enter(self, state: State, packet: Buffer = b"", /, **fields: FieldValue) -> None:
        """Map the data and the context."""
        state.hook = HookState(self.program_type, self.layout)
        if self.length:
            fields = {self.length: memoryview(packet).nbytes} | fields
        super().enter(state, packet, **fields)

    def hook_state(self, state: State) -> HookState:
        """What `enter` has made."""
        return state.hook

    def finish(self, state: State, context: bytearray) -> None:
        """Point at the host's socket."""
        fill_socket(self.layout, state, context)


def fill_socket(layout: Layout, state: State, context: bytearray) -> None:
    """Describe the host's socket in the fields that a context has for it, unless they are set."""
    socket = state.host.socket
    if socket is None:
        return
    values: dict[str, FieldValue] = {"family": socket.family}
    family = "ip4" if socket.family == 2 else "ip6"
    values |= {f"local_{family}": socket.local[0], "local_port": socket.local[1]}
    if socket.remote is not None:
        values |= {f"remote_{family}": socket.remote[0], "remote_port": socket.remote[1]}
    if "sk" in layout:
        values["sk"] = show_socket(Context(state, 0), socket)
    for name, value in values.items():
        field = layout.get(name)
        if field is not None and not any(context[field.offset : field.end]):
            context[field.offset : field.end] = field.pack(value)


class SkMsg(DataHook):
    """A message that a process sends; r1 is a `struct sk_msg_md`."""

    length = "size"
    verdicts = SkAction

    def __init__(self) -> None:
        """The hook of sk_msg programs."""
        super().__init__("sk_msg", "sk_msg", SK_MSG_MD, derived=True)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it is."""
        return type(self), ()


class CgroupSockopt(DataHook):
    """A socket option that is read or set; the packet is its value."""

    length = "optlen"
    verdicts = CgroupAction

    def __init__(self) -> None:
        """The hook of cgroup/getsockopt and cgroup/setsockopt programs."""
        super().__init__("cgroup_sockopt", "cgroup_sockopt", BPF_SOCKOPT, derived=True)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it is."""
        return type(self), ()


class SkReuseport(DataHook):
    """The choice of a socket among those that share a port."""

    length = "len"
    verdicts = SkAction

    def __init__(self) -> None:
        """The hook of sk_reuseport programs."""
        super().__init__("sk_reuseport", "sk_reuseport", SK_REUSEPORT_MD, derived=True)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it is."""
        return type(self), ()
