// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Connect-time load balancing: a socket that asks for a service is led to a backend before its first packet, so that none of
 * its packets needs translation. It goes on to believe that it talks to the service: getpeername and recvmsg say so.
 *
 * Attached to the cgroup of this node's processes and workloads (cgroup/connect, sendmsg, recvmsg, getpeername).
 *
 * TCP by default; UDP where asked for, as a UDP socket keeps to its backend even when that is gone, and for a node's own port asked
 * by the node itself, to which there is no other way.
 */
#include "services.h"

char LICENSE[] SEC("license") = "GPL";

#define PROCEED 1

struct asked {
	struct tuple tuple; /* src: nobody; affinity is by network namespace */
	__u8 family;
};

ALWAYS_INLINE int is_wanted(const struct settings *settings, __u8 protocol)
{
	if (protocol == IPPROTO_TCP)
		return settings->flags & SETTING_CONNECT_TCP;
	return protocol == IPPROTO_UDP && (settings->flags & SETTING_CONNECT_UDP);
}

/* A socket has no source address yet: its network namespace stands for the client, as pods have one each. */
ALWAYS_INLINE void fill_client(struct tuple *tuple, struct bpf_sock_addr *sock)
{
	__u64 cookie = bpf_get_netns_cookie(sock);

	tuple->src.word[0] = 0xffffffff; /* no address that anyone has */
	tuple->src.word[1] = 0;
	tuple->src.word[2] = cookie >> 32;
	tuple->src.word[3] = cookie;
}

ALWAYS_INLINE __u32 route_flags(const struct address *address)
{
	struct route_key key = {.prefix_length = 128, .address = *address};
	struct route *route = bpf_map_lookup_elem(&routes, &key);

	return route ? route->flags : 0;
}

/* A node's port asked by that very node: those packets leave by no link, so that none of our programs would ever see one. */
ALWAYS_INLINE int is_for_itself(const struct settings *settings, struct bpf_sock_addr *sock, __u32 flags)
{
	return (flags & (ROUTE_NODE | ROUTE_LOCAL)) == (ROUTE_NODE | ROUTE_LOCAL) && bpf_get_netns_cookie(sock) == settings->host;
}

/* 1: led to `chosen`. */
ALWAYS_INLINE int lead(struct bpf_sock_addr *sock, struct asked *asked, struct backend *chosen)
{
	struct settings *settings = these_settings();
	struct socket_key key = {};
	struct socket_name name = {};
	struct frontend *frontend;
	__u32 flags;

	if (!settings)
		return 0;
	flags = route_flags(&asked->tuple.dst);
	if (!is_wanted(settings, asked->tuple.protocol) && !is_for_itself(settings, sock, flags))
		return 0;
	frontend = frontend_of(&asked->tuple, asked->family, SCOPE_INSIDE, flags & ROUTE_NODE);
	if (!frontend || (frontend->flags & FRONTEND_SOURCES)) /* from where it asks its packets say */
		return 0;
	fill_client(&asked->tuple, sock);
	if (choose_backend(frontend, &asked->tuple, chosen))
		return 0; /* its packets will be told that nobody is there */
	key.cookie = bpf_get_socket_cookie(sock);
	key.address = chosen->address;
	key.port = chosen->port;
	name.address = asked->tuple.dst;
	name.port = asked->tuple.dst_port;
	name.frontend = frontend->name;
	bpf_map_update_elem(&sockets, &key, &name, BPF_ANY);
	return 1;
}

/* sock->user_port holds the port in network order in its low half. */
ALWAYS_INLINE __u16 port_of(const struct bpf_sock_addr *sock)
{
	return bpf_ntohs((__u16)sock->user_port);
}

ALWAYS_INLINE int lead4(struct bpf_sock_addr *sock)
{
	struct asked asked = {.family = 4};
	struct backend chosen = {};

	asked.tuple.protocol = sock->protocol;
	asked.tuple.dst_port = port_of(sock);
	map_ipv4(&asked.tuple.dst, sock->user_ip4);
	if (lead(sock, &asked, &chosen)) {
		sock->user_ip4 = chosen.address.word[3];
		sock->user_port = bpf_htons(chosen.port);
	}
	return PROCEED;
}

/* An IPv4 service by way of an IPv6 socket (RFC 3493 section 3.7) is the IPv4 service: addresses stand mapped in our maps. */
ALWAYS_INLINE int lead6(struct bpf_sock_addr *sock)
{
	struct asked asked = {.family = 6};
	struct backend chosen = {};

	asked.tuple.protocol = sock->protocol;
	asked.tuple.dst_port = port_of(sock);
	asked.tuple.dst.word[0] = sock->user_ip6[0];
	asked.tuple.dst.word[1] = sock->user_ip6[1];
	asked.tuple.dst.word[2] = sock->user_ip6[2];
	asked.tuple.dst.word[3] = sock->user_ip6[3];
	if (is_mapped(&asked.tuple.dst))
		asked.family = 4;
	if (lead(sock, &asked, &chosen)) {
		sock->user_ip6[0] = chosen.address.word[0];
		sock->user_ip6[1] = chosen.address.word[1];
		sock->user_ip6[2] = chosen.address.word[2];
		sock->user_ip6[3] = chosen.address.word[3];
		sock->user_port = bpf_htons(chosen.port);
	}
	return PROCEED;
}

/* The name under which the socket asked for whom it talks to. */
ALWAYS_INLINE struct socket_name *name_of(struct bpf_sock_addr *sock, const struct address *peer)
{
	struct socket_key key = {};

	key.cookie = bpf_get_socket_cookie(sock);
	key.address = *peer;
	key.port = port_of(sock);
	return bpf_map_lookup_elem(&sockets, &key);
}

ALWAYS_INLINE int rename4(struct bpf_sock_addr *sock)
{
	struct socket_name *name;
	struct address peer;

	map_ipv4(&peer, sock->user_ip4);
	name = name_of(sock, &peer);
	if (name) {
		sock->user_ip4 = name->address.word[3];
		sock->user_port = bpf_htons(name->port);
	}
	return PROCEED;
}

ALWAYS_INLINE int rename6(struct bpf_sock_addr *sock)
{
	struct socket_name *name;
	struct address peer;

	peer.word[0] = sock->user_ip6[0];
	peer.word[1] = sock->user_ip6[1];
	peer.word[2] = sock->user_ip6[2];
	peer.word[3] = sock->user_ip6[3];
	name = name_of(sock, &peer);
	if (name) {
		sock->user_ip6[0] = name->address.word[0];
		sock->user_ip6[1] = name->address.word[1];
		sock->user_ip6[2] = name->address.word[2];
		sock->user_ip6[3] = name->address.word[3];
		sock->user_port = bpf_htons(name->port);
	}
	return PROCEED;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *sock)
{
	return lead4(sock);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *sock)
{
	return lead6(sock);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *sock)
{
	return lead4(sock);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *sock)
{
	return lead6(sock);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *sock)
{
	return rename4(sock);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *sock)
{
	return rename6(sock);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *sock)
{
	return rename4(sock);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *sock)
{
	return rename6(sock);
}
