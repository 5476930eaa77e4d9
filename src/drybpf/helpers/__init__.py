"""Helpers: the functions outside the program that it may call by number."""

from drybpf.helpers.rbpf import (
    BPF_KTIME_GETNS_IDX,
    BPF_TRACE_PRINTK_IDX,
    bpf_time_getns,
    bpf_trace_printf,
    gather_bytes,
    memfrob,
    rand,
    sqrti,
    strcmp,
)
from drybpf.helpers.registry import Call, Helpers

__all__ = [
    "BPF_KTIME_GETNS_IDX",
    "BPF_TRACE_PRINTK_IDX",
    "Call",
    "Helpers",
    "bpf_time_getns",
    "bpf_trace_printf",
    "gather_bytes",
    "memfrob",
    "rand",
    "sqrti",
    "strcmp",
]
