"""Hooks without a packet: calls in a cgroup, sockets' events, traced functions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from drybpf.entry import FieldValue, Layout
from drybpf.hooks.context import ContextHook
from drybpf.hooks.packets import fill_socket
from drybpf.hooks.verdicts import CgroupAction, NetfilterAction, SkAction
from drybpf.memory import CONTEXT, Region
from drybpf.state import HookState, Place, State

if TYPE_CHECKING:
    from typing_extensions import Buffer

BPF_SOCK = Layout(
    "bpf_sock",
    80,
    """
     0 4   bound_dev_if    rw
     4 4   family
     8 4   type
    12 4   protocol
    16 4   mark            rw
    20 4   priority        rw
    24 4   src_ip4         be32
    28 4x4 src_ip6         be32
    44 4   src_port
    48 2   dst_port        be16
    52 4   dst_ip4         be32
    56 4x4 dst_ip6         be32
    72 4   state
    76 4   rx_queue_mapping signed
    """,
)
"""`struct bpf_sock`."""

BPF_SOCK_ADDR = Layout(
    "bpf_sock_addr",
    72,
    """
     0 4   user_family
     4 4   user_ip4    be32 rw
     8 4x4 user_ip6    be32 rw
    24 4   user_port   be16 rw
    28 4   family
    32 4   type
    36 4   protocol
    40 4   msg_src_ip4 be32 rw
    44 4x4 msg_src_ip6 be32 rw
    64 8   sk
    """,
)
"""`struct bpf_sock_addr`."""

BPF_SOCK_OPS = Layout(
    "bpf_sock_ops",
    224,
    """
      0 4   op
      4 4x4 args             rw
     20 4   family
     24 4   remote_ip4       be32
     28 4   local_ip4        be32
     32 4x4 remote_ip6       be32
     48 4x4 local_ip6        be32
     64 4   remote_port      be32
     68 4   local_port
     72 4   is_fullsock      =1
     76 4   snd_cwnd
     80 4   srtt_us
     84 4   bpf_sock_ops_cb_flags
     88 4   state
     92 4   rtt_min
     96 4   snd_ssthresh
    100 4   rcv_nxt
    104 4   snd_nxt
    108 4   snd_una
    112 4   mss_cache
    116 4   ecn_flags
    120 4   rate_delivered
    124 4   rate_interval_us
    128 4   packets_out
    132 4   retrans_out
    136 4   total_retrans
    140 4   segs_in
    144 4   data_segs_in
    148 4   segs_out
    152 4   data_segs_out
    156 4   lost_out
    160 4   sacked_out
    164 4   sk_txhash        rw
    168 8   bytes_received
    176 8   bytes_acked
    184 8   sk
    192 8   skb_data
    200 8   skb_data_end
    208 4   skb_len
    212 4   skb_tcp_flags
    216 8   skb_hwtstamp
    """,
)
"""`struct bpf_sock_ops`; the reply is `args[0]`."""

BPF_SK_LOOKUP = Layout(
    "bpf_sk_lookup",
    72,
    """
     0 8   sk
     8 4   family          =2
    12 4   protocol        =6
    16 4   remote_ip4      be32
    20 4x4 remote_ip6      be32
    36 2   remote_port     be16
    40 4   local_ip4       be32
    44 4x4 local_ip6       be32
    60 4   local_port
    64 4   ingress_ifindex
    """,
)
"""`struct bpf_sk_lookup`."""

PT_REGS = """
      0 8 r15
      8 8 r14
     16 8 r13
     24 8 r12
     32 8 bp
     40 8 bx
     48 8 r11
     56 8 r10
     64 8 r9
     72 8 r8
     80 8 ax
     88 8 cx
     96 8 dx
    104 8 si
    112 8 di
    120 8 orig_ax
    128 8 ip
    136 8 cs
    144 8 flags
    152 8 sp
    160 8 ss
"""
"""`struct pt_regs` of x86-64."""

_REGISTERS = MappingProxyType(
    {"arg1": "di", "arg2": "si", "arg3": "dx", "arg4": "cx", "arg5": "r8", "arg6": "r9"}
    | {"ret": "ax"}
)
_MOST_ARGUMENTS = 12
_KERNEL = 1 << 63  # the first address of the kernel's memory
# Programs whose arguments are pointers with a type: they read the kernel's memory directly.
_TYPED = ("tracing", "lsm", "struct_ops", "netfilter")


class CallHook(ContextHook):
    """A program that is called with a context alone.

    What is given in place of a packet are the bytes that the context begins with; fields by name
    go over them.  A context is as long as its structure, or as the bytes.
    """

    def __init__(
        self,
        name: str,
        program_type: str,
        layout: Layout,
        verdicts: type[IntEnum] | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        writable: bool = False,
    ) -> None:
        """Describe the hook; `writable` says that programs may write the whole context."""
        self.verdicts, self.aliases = verdicts, aliases or {}
        self._whole = writable
        super().__init__(name, program_type, layout, derived=True, fixed=False)

    def enter(
        self,
        state: State,
        packet: Buffer = b"",
        /,
        *,
        cookie: FieldValue = 0,
        function: FieldValue = 0,
        **fields: FieldValue,
    ) -> None:
        """Map the context.

        `cookie` and `function`, an address, are what tracing programs ask about their place.
        """
        self.check_fields(fields)
        state.shape = self.shape
        context = bytearray(memoryview(packet).cast("B"))
        context += self._template[len(context) :]
        for name, value in fields.items():
            self._set(context, name, value)
        given = fields.get("args", ())
        count = len(given) if not isinstance(given, int) else 1
        if not isinstance(cookie, int) or not isinstance(function, int):
            raise TypeError("cookie and function are numbers")
        place = Place(function, cookie, count, self.returned(fields))
        state.hook = HookState(self.program_type, self.layout, place=place)
        self.finish(state, context)
        writable, spans = self.layout.writable, self.shape.protected
        if self._whole:
            writable, spans = True, ()
        region = Region(self.layout.name, CONTEXT, context, writable=writable, protected=spans)
        state.memory.map(region)
        state.registers[1] = CONTEXT
        if self.program_type in _TYPED:
            for address, piece in state.host.memory.pieces():
                if address >= _KERNEL:
                    kernel = Region("kernel memory", address, piece, writable=False)
                    state.memory.map(kernel)

    def returned(self, fields: Mapping[str, FieldValue]) -> bool:
        """Whether the program runs after the function that it traces."""
        return "ret" in fields

    def finish(self, state: State, context: bytearray) -> None:
        """Describe the host's socket, where the context has fields for it."""
        if "sk" in self.layout and self.program_type != "sk_lookup":
            fill_socket(self.layout, state, context)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the hook was made of."""
        arguments = self.name, self.program_type, self.layout, self.verdicts
        return _call_hook, (*arguments, dict(self.aliases), self._whole)


def _call_hook(
    name: str,
    program_type: str,
    layout: Layout,
    verdicts: type[IntEnum] | None,
    aliases: Mapping[str, str],
    writable: bool,
) -> CallHook:
    return CallHook(name, program_type, layout, verdicts, aliases=aliases, writable=writable)


class ArgumentsHook(CallHook):
    """A program that is called with a function's arguments, 8 bytes each, and what it returned."""

    def enter(
        self,
        state: State,
        packet: Buffer = b"",
        /,
        *,
        ret: FieldValue | None = None,
        **fields: FieldValue,
    ) -> None:
        """Map the arguments; `ret`, if given, stands behind them."""
        given = fields.get("args", ())
        if ret is not None:
            if not isinstance(ret, int) or isinstance(given, (int, str, bytes)):
                raise TypeError("ret is a number, and args are numbers")
            fields["args"] = (*given, ret)
        super().enter(state, packet, **fields)
        if ret is not None:
            place = state.hook.place
            state.hook.place = Place(place.function, place.cookie, place.arguments - 1, True)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the hook was made of."""
        return _arguments_hook, (self.name, self.program_type, self._whole)


def _arguments_hook(name: str, program_type: str, writable: bool = False) -> ArgumentsHook:
    layout = Layout("args", 8 * _MOST_ARGUMENTS, f"0 8x{_MOST_ARGUMENTS} args")
    return ArgumentsHook(name, program_type, layout, writable=writable)


CGROUP_SOCK = CallHook("cgroup_sock", "cgroup_sock", BPF_SOCK, CgroupAction)
CGROUP_SOCK_ADDR = CallHook("cgroup_sock_addr", "cgroup_sock_addr", BPF_SOCK_ADDR, CgroupAction)
CGROUP_DEVICE = CallHook(
    "cgroup_device",
    "cgroup_device",
    Layout("bpf_cgroup_dev_ctx", 12, "0 4 access_type\n4 4 major\n8 4 minor"),
    CgroupAction,
)
SOCK_OPS = CallHook("sock_ops", "sock_ops", BPF_SOCK_OPS)
SK_LOOKUP = CallHook("sk_lookup", "sk_lookup", BPF_SK_LOOKUP, SkAction)
KPROBE = CallHook("kprobe", "kprobe", Layout("pt_regs", 168, PT_REGS), aliases=_REGISTERS)
PERF_EVENT = CallHook(
    "perf_event",
    "perf_event",
    Layout("bpf_perf_event_data", 184, PT_REGS + "168 8 sample_period\n176 8 addr"),
)
TRACEPOINT = CallHook(
    "tracepoint", "tracepoint", Layout("tracepoint", 64, "0 8 common\n8 8 id\n16 8x6 args")
)
RAW_TRACEPOINT = _arguments_hook("raw_tracepoint", "raw_tracepoint")
RAW_TRACEPOINT_WRITABLE = _arguments_hook("raw_tracepoint.w", "raw_tracepoint_writable")
TRACING = _arguments_hook("tracing", "tracing")
LSM = _arguments_hook("lsm", "lsm")
STRUCT_OPS = _arguments_hook("struct_ops", "struct_ops")
SYSCALL = CallHook("syscall", "syscall", Layout("context", 0, ""), writable=True)
LIRC_MODE2 = CallHook("lirc_mode2", "lirc_mode2", Layout("lirc", 4, "0 4 sample"))
NETFILTER = CallHook(
    "netfilter", "netfilter", Layout("bpf_nf_ctx", 16, "0 8 state\n8 8 skb"), NetfilterAction
)
