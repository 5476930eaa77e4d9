/* Counts the connections that a server accepts, by client, and asks to be told how they end. */
#include "bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32); /* the client's address, in network order */
	__type(value, u32);
} accepted SEC(".maps");

SEC("sockops")
int watch(struct bpf_sock_ops *ops)
{
	u32 client = ops->remote_ip4, one = 1;

	if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return 1;
	u32 *count = bpf_map_lookup_elem(&accepted, &client);

	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&accepted, &client, &one, 0);
	bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
	return 1;
}

char _license[] SEC("license") = "Dual MIT/GPL";
