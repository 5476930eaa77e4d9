"""All helpers of the kernel, as data: number, name, how simulated, where, for which programs.

Registration, the messages for what is missing, `drybpf info` and `docs/helpers.md` come from it.
Which programs have a helper is what Linux 6.18 answered when asked to load a call of it.

How a helper is simulated: `exact`, as the kernel does it; `host`, answered from the simulated
`Host`; `recorded`, as an effect in the result; `none`, not at all: such a helper faults when it
is reached, and any of them can be replaced by a Python callable.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

# Groups of program types, named as in the kernel's `enum bpf_prog_type`; `all` is every type.
_GROUPS = {
    "tc": "sched_cls sched_act",
    "lwt": "lwt_in lwt_out lwt_xmit lwt_seg6local",
    "probes": "kprobe tracepoint perf_event raw_tracepoint raw_tracepoint_writable tracing lsm",
    "packets": "tc lwt socket_filter cgroup_skb sk_skb",
    "answers": "cgroup_sock cgroup_device cgroup_sock_addr cgroup_sysctl cgroup_sockopt",
    "events": "probes packets answers xdp sock_ops sk_msg",
    "lookups": "tc xdp cgroup_skb sk_skb cgroup_sock_addr",
    "casts": ("packets xdp sock_ops sk_msg cgroup_sock_addr flow_dissector sk_lookup tracing lsm"),
    "stores": "tc cgroup_skb sock_ops sk_msg cgroup_sock_addr cgroup_sockopt tracing lsm",
    "options": "cgroup_sock_addr cgroup_sockopt sock_ops struct_ops",
    "cookies": "tc socket_filter cgroup_skb cgroup_sock sock_ops cgroup_sock_addr",
    "cookie": "cookies sk_skb sk_reuseport tracing lsm",
    "networks": (
        "packets cgroup_sock cgroup_sock_addr cgroup_sysctl flow_dissector sk_lookup sk_msg "
        "sk_reuseport sock_ops xdp"
    ),
}

# The third column says how, the fourth names the module here; `-` where there is none.
_TABLE = """
  1 map_lookup_elem                exact    maps           all
  2 map_update_elem                exact    maps           all
  3 map_delete_elem                exact    maps           all
  4 probe_read                     host     memory         probes syscall
  5 ktime_get_ns                   host     system         all
  6 trace_printk                   exact    printing       all
  7 get_prandom_u32                host     system         all
  8 get_smp_processor_id           host     system         all
  9 skb_store_bytes                exact    skb_bytes      tc lwt_xmit sk_skb
 10 l3_csum_replace                exact    checksums      tc lwt_xmit
 11 l4_csum_replace                exact    checksums      tc lwt_xmit
 12 tail_call                      exact    control        all
 13 clone_redirect                 recorded redirect       tc lwt_xmit
 14 get_current_pid_tgid           host     process        all
 15 get_current_uid_gid            host     process        all
 16 get_current_comm               host     process        all
 17 get_cgroup_classid             host     cgroups        all
 18 skb_vlan_push                  exact    skb_shape      tc
 19 skb_vlan_pop                   exact    skb_shape      tc
 20 skb_get_tunnel_key             host     tunnels        tc lwt_xmit
 21 skb_set_tunnel_key             recorded tunnels        tc lwt_xmit
 22 perf_event_read                host     tracing        all
 23 redirect                       recorded redirect       tc lwt_xmit xdp
 24 get_route_realm                host     answers        lwt tc
 25 perf_event_output              recorded output         events sk_lookup
 26 skb_load_bytes                 exact    skb_bytes      packets flow_dissector sk_reuseport
 27 get_stackid                    host     tracing        probes syscall
 28 csum_diff                      exact    checksums      lwt tc xdp
 29 skb_get_tunnel_opt             host     tunnels        tc lwt_xmit
 30 skb_set_tunnel_opt             recorded tunnels        tc lwt_xmit
 31 skb_change_proto               exact    skb_shape      tc
 32 skb_change_type                exact    skb_shape      tc
 33 skb_under_cgroup               host     cgroups        lwt tc
 34 get_hash_recalc                exact    skb_marks      lwt tc
 35 get_current_task               host     process        all
 36 probe_write_user               recorded memory         probes
 37 current_task_under_cgroup      host     process        all
 38 skb_change_tail                exact    skb_shape      tc lwt_xmit sk_skb
 39 skb_pull_data                  exact    skb_bytes      lwt tc sk_skb
 40 csum_update                    exact    checksums      tc lwt_xmit
 41 set_hash_invalid               exact    skb_marks      tc lwt_xmit
 42 get_numa_node_id               host     system         all
 43 skb_change_head                exact    skb_shape      tc lwt_xmit sk_skb
 44 xdp_adjust_head                exact    xdp            xdp
 45 probe_read_str                 host     memory         probes syscall
 46 get_socket_cookie              host     sockets        cookie syscall
 47 get_socket_uid                 host     sockets        tc cgroup_skb sk_skb socket_filter
 48 set_hash                       exact    skb_marks      tc
 49 setsockopt                     host     socket_options options
 50 skb_adjust_room                exact    skb_shape      tc sk_skb
 51 redirect_map                   recorded redirect       xdp
 52 sk_redirect_map                recorded sockmaps       sk_skb
 53 sock_map_update                recorded sockmaps       sock_ops
 54 xdp_adjust_meta                exact    xdp            xdp
 55 perf_event_read_value          host     tracing        all
 56 perf_prog_read_value           host     tracing        perf_event
 57 getsockopt                     host     socket_options options
 58 override_return                recorded process        kprobe
 59 sock_ops_cb_flags_set          recorded socket_options sock_ops
 60 msg_redirect_map               recorded sockmaps       sk_msg
 61 msg_apply_bytes                exact    messages       sk_msg
 62 msg_cork_bytes                 exact    messages       sk_msg
 63 msg_pull_data                  exact    messages       sk_msg
 64 bind                           recorded socket_options cgroup_sock_addr
 65 xdp_adjust_tail                exact    xdp            xdp
 66 skb_get_xfrm_state             host     answers        tc
 67 get_stack                      host     tracing        probes syscall
 68 skb_load_bytes_relative        exact    skb_bytes      tc cgroup_skb sk_reuseport socket_filter
 69 fib_lookup                     host     routing        tc xdp
 70 sock_hash_update               recorded sockmaps       sock_ops
 71 msg_redirect_hash              recorded sockmaps       sk_msg
 72 sk_redirect_hash               recorded sockmaps       sk_skb
 73 lwt_push_encap                 none     -              lwt_in lwt_xmit
 74 lwt_seg6_store_bytes           none     -              lwt_seg6local
 75 lwt_seg6_adjust_srh            none     -              lwt_seg6local
 76 lwt_seg6_action                none     -              lwt_seg6local
 77 rc_repeat                      none     -              lirc_mode2
 78 rc_keydown                     none     -              lirc_mode2
 79 skb_cgroup_id                  host     cgroups        tc cgroup_skb
 80 get_current_cgroup_id          host     process        all
 81 get_local_storage              exact    storage        answers cgroup_skb sock_ops
 82 sk_select_reuseport            recorded sockmaps       sk_reuseport
 83 skb_ancestor_cgroup_id         host     cgroups        tc cgroup_skb
 84 sk_lookup_tcp                  host     sockets        lookups
 85 sk_lookup_udp                  host     sockets        lookups
 86 sk_release                     host     sockets        lookups sk_lookup
 87 map_push_elem                  exact    maps           all
 88 map_pop_elem                   exact    maps           all
 89 map_peek_elem                  exact    maps           all
 90 msg_push_data                  exact    messages       sk_msg
 91 msg_pop_data                   exact    messages       sk_msg
 92 rc_pointer_rel                 none     -              lirc_mode2
 93 spin_lock                      exact    control        all
 94 spin_unlock                    exact    control        all
 95 sk_fullsock                    host     sockets        tc cgroup_skb
 96 tcp_sock                       host     sockets        tc cgroup_skb cgroup_sockopt sock_ops
 97 skb_ecn_set_ce                 exact    skb_shape      tc cgroup_skb
 98 get_listener_sock              host     sockets        tc cgroup_skb
 99 skc_lookup_tcp                 host     sockets        lookups
100 tcp_check_syncookie            host     syncookies     tc xdp
101 sysctl_get_name                host     sysctl         cgroup_sysctl
102 sysctl_get_current_value       host     sysctl         cgroup_sysctl
103 sysctl_get_new_value           host     sysctl         cgroup_sysctl
104 sysctl_set_new_value           host     sysctl         cgroup_sysctl
105 strtol                         exact    strings        all
106 strtoul                        exact    strings        all
107 sk_storage_get                 exact    storage        stores cgroup_sock syscall
108 sk_storage_delete              exact    storage        stores syscall
109 send_signal                    recorded process        all
110 tcp_gen_syncookie              host     syncookies     tc xdp
111 skb_output                     recorded output         lsm syscall tracing
112 probe_read_user                host     memory         all
113 probe_read_kernel              host     memory         all
114 probe_read_user_str            host     memory         all
115 probe_read_kernel_str          host     memory         all
116 tcp_send_ack                   recorded answers        struct_ops
117 send_signal_thread             recorded process        all
118 jiffies64                      host     system         all
119 read_branch_records            host     answers        perf_event
120 get_ns_current_pid_tgid        host     process        all
121 xdp_output                     recorded output         lsm syscall tracing
122 get_netns_cookie               host     sockets        cookies cgroup_sockopt sk_msg
123 get_current_ancestor_cgroup_id host     process        all
124 sk_assign                      recorded sockets        tc sk_lookup
125 ktime_get_boot_ns              host     system         all
126 seq_printf                     exact    printing       lsm tracing
127 seq_write                      exact    printing       lsm tracing
128 sk_cgroup_id                   host     cgroups        cgroup_skb
129 sk_ancestor_cgroup_id          host     cgroups        cgroup_skb
130 ringbuf_output                 exact    output         all
131 ringbuf_reserve                exact    output         all
132 ringbuf_submit                 exact    output         all
133 ringbuf_discard                exact    output         all
134 ringbuf_query                  exact    output         all
135 csum_level                     exact    checksums      tc lwt_xmit
136 skc_to_tcp6_sock               host     sockets        casts syscall
137 skc_to_tcp_sock                host     sockets        casts syscall
138 skc_to_tcp_timewait_sock       host     sockets        casts syscall
139 skc_to_tcp_request_sock        host     sockets        casts syscall
140 skc_to_udp6_sock               host     sockets        casts syscall
141 get_task_stack                 host     tracing        all
142 load_hdr_opt                   none     -              sock_ops
143 store_hdr_opt                  none     -              sock_ops
144 reserve_hdr_opt                none     -              sock_ops
145 inode_storage_get              exact    storage        lsm tracing
146 inode_storage_delete           exact    storage        lsm tracing
147 d_path                         none     -              lsm syscall tracing
148 copy_from_user                 host     memory         all
149 snprintf_btf                   none     -              all
150 seq_printf_btf                 none     -              lsm tracing
151 skb_cgroup_classid             host     cgroups        tc
152 redirect_neigh                 recorded redirect       tc
153 per_cpu_ptr                    host     tracing        all
154 this_cpu_ptr                   host     tracing        all
155 redirect_peer                  recorded redirect       tc
156 task_storage_get               exact    storage        all
157 task_storage_delete            exact    storage        all
158 get_current_task_btf           host     process        all
159 bprm_opts_set                  none     -              lsm
160 ktime_get_coarse_ns            host     system         networks struct_ops
161 ima_inode_hash                 host     answers        lsm
162 sock_from_file                 none     -              lsm syscall tracing
163 check_mtu                      host     routing        tc xdp
164 for_each_map_elem              exact    control        all
165 snprintf                       exact    printing       all
166 sys_bpf                        none     -              syscall
167 btf_find_by_name_kind          none     -              syscall
168 sys_close                      none     -              syscall
169 timer_init                     exact    timers         all
170 timer_set_callback             exact    timers         all
171 timer_start                    exact    timers         all
172 timer_cancel                   exact    timers         all
173 get_func_ip                    host     tracing        probes syscall
174 get_attach_cookie              host     tracing        probes
175 task_pt_regs                   host     process        all
176 get_branch_snapshot            host     answers        all
177 trace_vprintk                  exact    printing       all
178 skc_to_unix_sock               host     sockets        casts syscall
179 kallsyms_lookup_name           host     answers        syscall
180 find_vma                       host     answers        all
181 loop                           exact    control        all
182 strncmp                        exact    strings        all
183 get_func_arg                   host     tracing        tracing
184 get_func_ret                   host     tracing        tracing
185 get_func_arg_cnt               host     tracing        tracing
186 get_retval                     exact    cgroups        answers
187 set_retval                     exact    cgroups        answers
188 xdp_get_buff_len               exact    xdp            lsm syscall tracing xdp
189 xdp_load_bytes                 exact    xdp            xdp
190 xdp_store_bytes                exact    xdp            xdp
191 copy_from_user_task            host     memory         all
192 skb_set_tstamp                 exact    skb_marks      tc
193 ima_file_hash                  host     answers        lsm
194 kptr_xchg                      exact    maps           all
195 map_lookup_percpu_elem         exact    maps           all
196 skc_to_mptcp_sock              host     sockets        casts syscall
197 dynptr_from_mem                exact    dynptr         all
198 ringbuf_reserve_dynptr         exact    output         all
199 ringbuf_submit_dynptr          exact    output         all
200 ringbuf_discard_dynptr         exact    output         all
201 dynptr_read                    exact    dynptr         all
202 dynptr_write                   exact    dynptr         all
203 dynptr_data                    exact    dynptr         all
204 tcp_raw_gen_syncookie_ipv4     host     syncookies     tc xdp
205 tcp_raw_gen_syncookie_ipv6     host     syncookies     tc xdp
206 tcp_raw_check_syncookie_ipv4   host     syncookies     tc xdp
207 tcp_raw_check_syncookie_ipv6   host     syncookies     tc xdp
208 ktime_get_tai_ns               host     system         all
209 user_ringbuf_drain             exact    control        all
210 cgrp_storage_get               exact    storage        all
211 cgrp_storage_delete            exact    storage        all
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One helper: `simulated` is `exact`, `host`, `recorded` or `none`.

    `programs` are the types of programs that have it in the kernel, None for all of them;
    `module` is where it is implemented, empty where it is not.
    """

    number: int
    name: str
    simulated: str
    module: str
    programs: frozenset[str] | None

    @property
    def title(self) -> str:
        """`bpf_map_lookup_elem#1`, as the kernel's verifier names it."""
        return f"bpf_{self.name}#{self.number}"

    def exists_for(self, program_type: str) -> bool:
        """Whether programs of a type, such as `xdp`, have this helper in the kernel."""
        return self.programs is None or program_type in self.programs

    def runs_for(self, program_type: str) -> bool:
        """Whether it can be run for programs of a type, since it is made for their context."""
        family = _SAME_CONTEXT if program_type in _SAME_CONTEXT else frozenset()
        return self.exists_for(program_type) or bool(family & (self.programs or family))


def expand(words: str) -> frozenset[str]:
    """The program types that a list of types and groups stands for."""
    found: set[str] = set()
    for word in words.split():
        group = _GROUPS.get(word)
        found |= {word} if group is None else expand(group)
    return frozenset(found)


def _row(line: str) -> Row:
    number, name, simulated, module, programs = line.split(maxsplit=4)
    types = None if programs == "all" else expand(programs)
    return Row(int(number), name, simulated, module.strip("-"), types)


# Types whose programs get the same context: what one of them has can be run for the others too,
# though the kernel would not load it.
_SAME_CONTEXT = expand("packets flow_dissector")

ROWS = MappingProxyType({row.number: row for row in map(_row, _TABLE.strip().splitlines())})
"""Every helper by its number."""
