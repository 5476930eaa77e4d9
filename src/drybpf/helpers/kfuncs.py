"""The kernel's functions that programs call by name (kfuncs), as data.

A kfunc's number here is made from its name, above all numbers of helpers, so that it is the same
in every process: code that calls one is linked to a helper of that number.
"""

from __future__ import annotations

from types import MappingProxyType
from zlib import crc32

from drybpf.helpers.table import ROWS, Row, expand

FIRST = 1 << 30  # of the numbers of kfuncs

# name, how simulated, module, program types that have it; every other one is not simulated.
_TABLE = """
bpf_dynptr_from_skb             exact    dynptr_kfuncs  packets sk_lookup netfilter tracing
bpf_dynptr_from_xdp             exact    dynptr_kfuncs  xdp
bpf_dynptr_slice                exact    dynptr_kfuncs  all
bpf_dynptr_slice_rdwr           exact    dynptr_kfuncs  all
bpf_dynptr_adjust               exact    dynptr_kfuncs  all
bpf_dynptr_is_null              exact    dynptr_kfuncs  all
bpf_dynptr_is_rdonly            exact    dynptr_kfuncs  all
bpf_dynptr_size                 exact    dynptr_kfuncs  all
bpf_dynptr_clone                exact    dynptr_kfuncs  all
bpf_dynptr_copy                 exact    dynptr_kfuncs  all
bpf_dynptr_memset               exact    dynptr_kfuncs  all
bpf_iter_num_new                exact    kfunc_basics   all
bpf_iter_num_next               exact    kfunc_basics   all
bpf_iter_num_destroy            exact    kfunc_basics   all
bpf_iter_bits_new               exact    kfunc_basics   all
bpf_iter_bits_next              exact    kfunc_basics   all
bpf_iter_bits_destroy           exact    kfunc_basics   all
bpf_rcu_read_lock               exact    kfunc_basics   all
bpf_rcu_read_unlock             exact    kfunc_basics   all
bpf_preempt_disable             exact    kfunc_basics   all
bpf_preempt_enable              exact    kfunc_basics   all
bpf_local_irq_save              exact    kfunc_basics   all
bpf_local_irq_restore           exact    kfunc_basics   all
bpf_cast_to_kern_ctx            exact    kfunc_basics   all
bpf_rdonly_cast                 exact    kfunc_basics   all
bpf_map_sum_elem_count          exact    kfunc_basics   all
bpf_strlen                      exact    kfunc_strings  all
bpf_strnlen                     exact    kfunc_strings  all
bpf_strcmp                      exact    kfunc_strings  all
bpf_strcasecmp                  exact    kfunc_strings  all
bpf_strchr                      exact    kfunc_strings  all
bpf_strnchr                     exact    kfunc_strings  all
bpf_strchrnul                   exact    kfunc_strings  all
bpf_strrchr                     exact    kfunc_strings  all
bpf_strspn                      exact    kfunc_strings  all
bpf_strcspn                     exact    kfunc_strings  all
bpf_strstr                      exact    kfunc_strings  all
bpf_strnstr                     exact    kfunc_strings  all
bpf_xdp_metadata_rx_timestamp   host     kfunc_xdp      xdp
bpf_xdp_metadata_rx_hash        host     kfunc_xdp      xdp
bpf_xdp_metadata_rx_vlan_tag    host     kfunc_xdp      xdp
"""


class KfuncRow(Row):
    """A row of the table of kfuncs; its name is the kernel's whole name."""

    @property
    def title(self) -> str:
        """`kfunc bpf_dynptr_slice`."""
        return f"kfunc {self.name}"


_names: dict[int, str] = {}  # of the kfuncs that anyone has asked about, for messages


def kfunc_number(name: str) -> int:
    """The number that stands for a kfunc."""
    number = FIRST | crc32(name.encode()) >> 2
    _names[number] = name
    return number


def kfunc_name(number: int) -> str:
    """The name of a kfunc that was asked about, by its number; empty for any other number."""
    return _names.get(number, "")


def helper_number(name: str) -> int:
    """The number of a helper or kfunc by name: `map_lookup_elem`, with or without `bpf_`."""
    bare = name.removeprefix("bpf_")
    known = _BY_NAME.get(bare)
    return kfunc_number(name) if known is None else known


def is_known(name: str) -> bool:
    """Whether the kernel has such a helper, or a kfunc of the name is simulated or was asked about.

    Objects ask about the kfuncs that they call.
    """
    number = FIRST | crc32(name.encode()) >> 2
    return name.removeprefix("bpf_") in _BY_NAME or number in KFUNCS or number in _names


def helper_name(number: int) -> str:
    """The kernel's name of a helper or kfunc, `bpf_` included; empty where it has none."""
    row = ROWS.get(number)
    return f"bpf_{row.name}" if row else kfunc_name(number)


def _row(line: str) -> Row:
    name, simulated, module, programs = line.split(maxsplit=3)
    types = None if programs == "all" else expand(programs)
    return KfuncRow(kfunc_number(name), name, simulated, module, types)


_BY_NAME = {row.name: row.number for row in ROWS.values()}
KFUNCS = MappingProxyType({row.number: row for row in map(_row, _TABLE.strip().splitlines())})
"""The kfuncs that are simulated, by number."""
