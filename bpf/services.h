// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Choosing a backend for what is sent to a service. Traffic policies, topology and terminating endpoints are settled: the
 * lists hold whom this node may choose. A list is never changed, it is replaced under another number, so that no packet sees half of one.
 */
#pragma once
#include "parse.h"

ALWAYS_INLINE void frontend_key_of(struct frontend_key *key, const struct address *address, const struct tuple *tuple, __u8 scope)
{
	key->address = *address;
	key->port = tuple->dst_port;
	key->protocol = tuple->protocol;
	key->scope = scope;
}

/* A service's own address, else a node's port. */
ALWAYS_INLINE struct frontend *frontend_of(const struct tuple *tuple, __u8 family, __u8 scope, int is_node)
{
	struct address any = {};
	struct frontend_key key;
	struct frontend *frontend;

	frontend_key_of(&key, &tuple->dst, tuple, scope);
	frontend = bpf_map_lookup_elem(&frontends, &key);
	if (frontend || !is_node)
		return frontend;
	frontend_key_of(&key, &any, tuple, family == 6 ? scope | SCOPE_IPV6 : scope);
	return bpf_map_lookup_elem(&frontends, &key);
}

/* Bob Jenkins' one-at-a-time mix over words: the same on every node, so that all choose the same of a Maglev table. */
ALWAYS_INLINE __u32 hash_of(const struct tuple *tuple)
{
	const __u32 *words = (const __u32 *)tuple;
	__u32 hash = 0x9e3779b9;
	int i;

	for (i = 0; i < (int)(sizeof(*tuple) / 4); i++) {
		hash += words[i];
		hash += hash << 10;
		hash ^= hash >> 6;
	}
	hash += hash << 3;
	hash ^= hash >> 11;
	return hash + (hash << 15);
}

ALWAYS_INLINE struct backend *backend_at(const struct frontend *frontend, __u32 index)
{
	struct backend_key key = {.list = frontend->list, .index = index};

	return bpf_map_lookup_elem(&backends, &key);
}

ALWAYS_INLINE int is_member(__u32 list, const struct address *address, __u16 port, __u8 protocol)
{
	struct member_key key = {.list = list, .port = port, .protocol = protocol, .address = *address};

	return bpf_map_lookup_elem(&members, &key) != NULL;
}

/* The backend that the client had before, while it is there and the time has not run out. */
ALWAYS_INLINE int remembered(const struct frontend *frontend, const struct tuple *tuple, struct backend *chosen)
{
	struct affinity_key key = {.frontend = frontend->name, .client = tuple->src};
	struct affinity *affinity = bpf_map_lookup_elem(&affinities, &key);
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!affinity || now - affinity->seen > frontend->affinity * 1000000000ULL)
		return 0;
	if (!is_member(frontend->list, &affinity->address, affinity->port, tuple->protocol))
		return 0;
	affinity->seen = now;
	chosen->address = affinity->address;
	chosen->port = affinity->port;
	return 1;
}

ALWAYS_INLINE void remember(const struct frontend *frontend, const struct tuple *tuple, const struct backend *chosen)
{
	struct affinity_key key = {.frontend = frontend->name, .client = tuple->src};
	struct affinity affinity = {.seen = bpf_ktime_get_coarse_ns(), .address = chosen->address, .port = chosen->port};

	bpf_map_update_elem(&affinities, &key, &affinity, BPF_ANY);
}

/* 0: chosen. */
ALWAYS_INLINE int choose_backend(const struct frontend *frontend, const struct tuple *tuple, struct backend *chosen)
{
	struct backend *backend;
	__u32 index;

	if (frontend->count == 0)
		return -1;
	if (frontend->affinity && remembered(frontend, tuple, chosen))
		return 0;
	index = frontend->flags & FRONTEND_MAGLEV ? hash_of(tuple) : bpf_get_prandom_u32();
	backend = backend_at(frontend, index % frontend->count);
	if (!backend)
		return -1;
	*chosen = *backend;
	if (frontend->affinity)
		remember(frontend, tuple, chosen);
	return 0;
}

#define LOCAL_TRIES 64

/* Of a Maglev table, from the flow's own place on: who is on this node. 0: found. */
ALWAYS_INLINE int choose_local(const struct frontend *frontend, const struct tuple *tuple, struct backend *chosen)
{
	__u32 index = hash_of(tuple);
	int i;

	for (i = 0; i < LOCAL_TRIES && frontend->count; i++) {
		struct backend *backend = backend_at(frontend, (index + i) % frontend->count);

		if (!backend || !(backend->flags & BACKEND_LOCAL))
			continue;
		*chosen = *backend;
		return 0;
	}
	return -1;
}

ALWAYS_INLINE int is_welcome(const struct frontend *frontend, const struct address *client)
{
	struct source_key key = {.prefix_length = 32 + 128, .list = frontend->list, .address = *client};

	return !(frontend->flags & FRONTEND_SOURCES) || bpf_map_lookup_elem(&sources, &key) != NULL;
}
