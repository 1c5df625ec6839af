// SPDX-License-Identifier: Apache-2.0
/** Numbers of include/uapi/linux/netfilter/nf_tables.h and nfnetlink.h (6.18), under the kernel's names. */

export const NFNL_SUBSYS_NFTABLES = 10;
export const NFNL_MSG_BATCH_BEGIN = 16;
export const NFNL_MSG_BATCH_END = 17;
export const NFNLGRP_NFTABLES = 7;

/** Message types, before the subsystem is put in the high byte. */
export const msg = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  DELCHAIN: 5,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  GETSET: 10,
  DELSET: 11,
  NEWSETELEM: 12,
  GETSETELEM: 13,
  DELSETELEM: 14,
  NEWGEN: 15,
} as const;

export const NFT_TABLE_F_OWNER = 0x2;
export const NFT_TABLE_F_PERSIST = 0x4;
export const tableAttr = { NAME: 1, FLAGS: 2, OWNER: 7 } as const;

export const chainAttr = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
export const hookAttr = { HOOKNUM: 1, PRIORITY: 2 } as const;
/** enum nf_inet_hooks, include/uapi/linux/netfilter.h. */
export const hookNumbers = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export const ruleAttr = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4, USERDATA: 7 } as const;
export const NFTA_LIST_ELEM = 1;
export const exprAttr = { NAME: 1, DATA: 2 } as const;

export const setAttr = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  DESC: 9,
  ID: 10,
  USERDATA: 13,
} as const;
export const NFTA_SET_DESC_CONCAT = 2;
export const NFTA_SET_FIELD_LEN = 1;
export const setFlag = { ANONYMOUS: 0x1, CONSTANT: 0x2, INTERVAL: 0x4, MAP: 0x8, CONCAT: 0x80 } as const;
export const NFT_DATA_VERDICT = 0xffffff00;

export const elemListAttr = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
export const elemAttr = { KEY: 1, DATA: 2, FLAGS: 3, KEY_END: 10 } as const;
export const NFT_SET_ELEM_INTERVAL_END = 0x1;

export const dataAttr = { VALUE: 1, VERDICT: 2 } as const;
export const verdictAttr = { CODE: 1, CHAIN: 2 } as const;
/** include/uapi/linux/netfilter.h and enum nft_verdicts. */
export const verdictCodes = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 } as const;

export const NFT_REG_VERDICT = 0;
/** The first of sixteen registers of four bytes; a concatenation fills them in order. */
export const NFT_REG32_00 = 8;

export const payloadAttr = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
export const NFT_PAYLOAD_NETWORK_HEADER = 1;
export const NFT_PAYLOAD_TRANSPORT_HEADER = 2;
export const metaAttr = { DREG: 1, KEY: 2, SREG: 3 } as const;
export const metaKey = { MARK: 3, IIFNAME: 6, OIFNAME: 7, L4PROTO: 16 } as const;
export const ctAttr = { DREG: 1, KEY: 2 } as const;
export const NFT_CT_STATE = 0;
/** Bits of NF_CT_STATE_BIT, include/uapi/linux/netfilter/nf_conntrack_common.h. */
export const ctStateBits = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
export const cmpAttr = { SREG: 1, OP: 2, DATA: 3 } as const;
export const NFT_CMP_EQ = 0;
export const NFT_CMP_NEQ = 1;
export const rangeAttr = { SREG: 1, OP: 2, FROM_DATA: 3, TO_DATA: 4 } as const;
export const bitwiseAttr = { SREG: 1, DREG: 2, LEN: 3, MASK: 4, XOR: 5 } as const;
export const lookupAttr = { SET: 1, SREG: 2, DREG: 3, FLAGS: 5 } as const;
export const NFT_LOOKUP_F_INV = 1;
export const immediateAttr = { DREG: 1, DATA: 2 } as const;
export const logAttr = { PREFIX: 2 } as const;
