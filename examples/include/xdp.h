/* What an XDP program needs to know, without kernel headers: types, the context, packet headers.
 *
 * The layouts and numbers are those of the kernel's user interface and of the protocols, so that
 * a program built with this header runs in the kernel as it does in drybpf.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

typedef u16 be16; /* big-endian, as on the wire */
typedef u32 be32;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

#define ntohs(value) __builtin_bswap16(value)
#define htons(value) __builtin_bswap16(value)
#define ntohl(value) __builtin_bswap32(value)
#define htonl(value) __builtin_bswap32(value)

/* The context: two 32-bit pointers into the packet, and where the packet came from. */
struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

enum xdp_action {
	XDP_ABORTED = 0,
	XDP_DROP = 1,
	XDP_PASS = 2,
	XDP_TX = 3,
	XDP_REDIRECT = 4,
};

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021AD 0x88a8

#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58

struct ethhdr {
	u8 h_dest[6];
	u8 h_source[6];
	be16 h_proto;
};

struct vlanhdr {
	be16 tci;
	be16 h_proto;
};

struct iphdr {
	u8 version_ihl; /* version in the upper four bits, length in 32-bit words in the lower */
	u8 tos;
	be16 tot_len;
	be16 id;
	be16 frag_off; /* three flags, then the offset in units of 8 bytes */
	u8 ttl;
	u8 protocol;
	be16 check;
	be32 saddr;
	be32 daddr;
};

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET 0x1fff

struct ipv6hdr {
	be32 flow;
	be16 payload_len;
	u8 nexthdr;
	u8 hop_limit;
	be32 saddr[4];
	be32 daddr[4];
};

struct tcphdr {
	be16 source;
	be16 dest;
	be32 seq;
	be32 ack_seq;
	u8 data_offset; /* length in 32-bit words in the upper four bits */
	u8 flags;
	be16 window;
	be16 check;
	be16 urg_ptr;
};

struct udphdr {
	be16 source;
	be16 dest;
	be16 len;
	be16 check;
};
