/* A load balancer for TCP and UDP over IPv4: it sends each connection to one of several backends.
 *
 * A packet for a service goes, in an IP packet of its own (RFC 2003), to a backend, which answers
 * the client directly. The backend is the one that the connection had before; for a new connection
 * the service's Maglev table says it, which user space fills so that a backend that leaves takes
 * hardly any connection with it but its own. Other packets pass.
 */
#include "../include/bpf.h"

#define MAX_SERVICES 16
#define MAX_BACKENDS 256
#define NONE MAX_BACKENDS /* the number of no backend */
#define TABLE_SIZE 1021 /* slots of each service's table: a prime, as Maglev wants */

#define IPPROTO_IPIP 4
#define TTL 64

/* Addresses and MACs are bytes as on the wire. A service's ports are 16 bits in machine order. */
struct service_key {
	u8 address[4];
	u16 port;
	u16 protocol;
};

struct backend {
	u8 address[4];
	u8 mac[6]; /* of the next hop to it */
	u16 alive; /* 0 for one that is gone */
};

struct connection {
	be32 source;
	be32 destination;
	be16 source_port;
	be16 destination_port;
	u32 protocol;
};

struct counter {
	u64 packets;
	u64 bytes;
};

const volatile u8 own_address[4] = { 10, 0, 0, 1 };
const volatile u8 own_mac[6] = { 2, 0, 0, 0, 0, 1 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, struct service_key);
	__type(value, u32);
} services SEC(".maps"); /* the number of each service */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICES *TABLE_SIZE);
	__type(key, u32);
	__type(value, u32);
} tables SEC(".maps"); /* the tables of all services, one behind the other: numbers of backends */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection);
	__type(value, u32);
} connections SEC(".maps"); /* the backend of each */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, u32);
	__type(value, struct counter);
} forwarded SEC(".maps"); /* to each backend */

/* Each bit of the connection bears on each bit of this (the mixing of MurmurHash3). */
INLINE u32 hash_of(const struct connection *connection)
{
	u64 hash = ((u64)connection->source << 32 | connection->destination) * 0xff51afd7ed558ccd;

	hash ^= hash >> 33;
	hash += (u64)connection->source_port << 32 | (u64)connection->destination_port << 16 |
		connection->protocol;
	hash *= 0xc4ceb9fe1a85ec53;
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccd;
	return hash >> 32;
}

INLINE int is_alive(u32 number)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);

	return backend && backend->alive;
}

/* The number of a connection's backend, NONE where there is none; a new one gets that of a slot. */
INLINE u32 choose(const struct connection *connection, u32 slot)
{
	u32 *known = bpf_map_lookup_elem(&connections, connection);
	u32 number = known ? *known : NONE;

	if (is_alive(number))
		return number;

	u32 *chosen = bpf_map_lookup_elem(&tables, &slot);

	number = chosen ? *chosen : NONE;
	if (!is_alive(number))
		return NONE;
	bpf_map_update_elem(&connections, connection, &number, BPF_ANY);
	return number;
}

INLINE void count(u32 number, u32 length)
{
	struct counter *counter = bpf_map_lookup_elem(&forwarded, &number);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += length;
}

INLINE u16 checksum(const struct iphdr *ip)
{
	const u16 *words = (const u16 *)ip;
	u32 sum = 0;

	for (u32 i = 0; i < sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* Put an IP header in front of the packet, and an Ethernet header that leads to the backend. */
INLINE int encapsulate(struct xdp_md *ctx, const struct backend *backend, u32 length)
{
	struct iphdr outer = {
		.version_ihl = 0x45,
		.tot_len = htons((u16)(length - sizeof(struct ethhdr) + sizeof(struct iphdr))),
		.ttl = TTL,
		.protocol = IPPROTO_IPIP,
	};

	__builtin_memcpy(&outer.saddr, (const u8 *)own_address, 4);
	__builtin_memcpy(&outer.daddr, backend->address, 4);
	outer.check = checksum(&outer);

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(outer)))
		return XDP_DROP;

	struct cursor cursor = cursor_of(ctx); /* the old one is worth nothing any more */
	struct ethhdr *eth = take(&cursor, sizeof(*eth));

	if (!eth)
		return XDP_DROP;

	struct iphdr *ip = take(&cursor, sizeof(*ip));

	if (!ip)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, backend->mac, 6);
	__builtin_memcpy(eth->h_source, (const u8 *)own_mac, 6);
	eth->h_proto = htons(ETH_P_IP);
	*ip = outer;
	return XDP_TX;
}

SEC("xdp")
int load_balancer(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_of(ctx);
	struct ethhdr *eth = take(&cursor, sizeof(*eth));

	if (!eth || eth->h_proto != htons(ETH_P_IP))
		return XDP_PASS;

	struct iphdr *ip = take_ipv4(&cursor);

	if (!ip || ip->frag_off & htons(IP_MORE_FRAGMENTS | IP_OFFSET))
		return XDP_PASS;

	struct udphdr *ports = take(&cursor, sizeof(*ports)); /* those of TCP lie at the same place */

	if (!ports)
		return XDP_PASS;

	struct connection connection = {
		.source = ip->saddr,
		.destination = ip->daddr,
		.source_port = ports->source,
		.destination_port = ports->dest,
		.protocol = ip->protocol,
	};
	struct service_key key = { .port = ntohs(ports->dest), .protocol = ip->protocol };

	__builtin_memcpy(key.address, &ip->daddr, 4);

	u32 hash = hash_of(&connection) % TABLE_SIZE;
	u32 *service = bpf_map_lookup_elem(&services, &key);

	if (!service)
		return XDP_PASS;

	u32 number = choose(&connection, *service * TABLE_SIZE + hash);
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);

	if (!backend)
		return XDP_DROP;

	u32 length = length_of(ctx);

	count(number, length);
	return encapsulate(ctx, backend, length);
}

char _license[] SEC("license") = "Dual MIT/GPL";
