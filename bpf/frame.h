// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A frame as a classifier or as XDP has it: what parse.h reads through, so that there is one parser. */
#pragma once
#include "types.h"
#include <linux/if_ether.h>

#ifdef FRAME_IS_XDP
#define FRAME struct xdp_md
#define load_bytes bpf_xdp_load_bytes

ALWAYS_INLINE __u32 frame_length(struct xdp_md *xdp)
{
	return bpf_xdp_get_buff_len(xdp);
}

ALWAYS_INLINE __u32 frame_link(const struct xdp_md *xdp)
{
	return xdp->ingress_ifindex;
}

ALWAYS_INLINE __be16 frame_protocol(struct xdp_md *xdp)
{
	__be16 protocol = 0;

	bpf_xdp_load_bytes(xdp, 12, &protocol, sizeof(protocol));
	return protocol;
}
#else
#define FRAME struct __sk_buff
#define load_bytes bpf_skb_load_bytes

ALWAYS_INLINE __u32 frame_length(const struct __sk_buff *skb)
{
	return skb->len;
}

ALWAYS_INLINE __u32 frame_link(const struct __sk_buff *skb)
{
	return skb->ifindex;
}

ALWAYS_INLINE __be16 frame_protocol(const struct __sk_buff *skb)
{
	return skb->protocol;
}
#endif
