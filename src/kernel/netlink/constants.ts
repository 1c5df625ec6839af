// SPDX-License-Identifier: Apache-2.0
/** Framing numbers of netlink itself: include/uapi/linux/netlink.h. What families add stands beside their codecs. */

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_MIN_TYPE = 0x10;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
/** The dump was not consistent: something changed while it was read. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** NLM_F_ROOT | NLM_F_MATCH */
export const NLM_F_DUMP = 0x300;
/** On NLMSG_ERROR: the request is left out after its header; attributes follow. */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

export const NLMSGERR_ATTR_MSG = 1;

export const NETLINK_ADD_MEMBERSHIP = 1;
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;

export const NLA_F_NESTED = 0x8000;
export const NLA_TYPE_MASK = 0x3fff;

/** Bytes of struct nlmsghdr and struct nlattr. */
export const headerBytes = 16;
export const attributeHeaderBytes = 4;
/** nla_len is 16 bits and counts its own header. */
export const maxAttributePayload: number = 0xffff - attributeHeaderBytes;

/** Netlink aligns messages and attributes to 4 bytes. */
export function align4(length: number): number {
  return (length + 3) & ~3;
}
