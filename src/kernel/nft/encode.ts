// SPDX-License-Identifier: Apache-2.0
/** A transaction as one nfnetlink batch: the kernel takes it whole or refuses it whole (net/netfilter/nfnetlink.c). */
import { assertNever } from '../../lib/errors.ts';
import { NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST } from '../netlink/constants.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import {
  chainAttr,
  dataAttr,
  elemAttr,
  elemListAttr,
  hookAttr,
  hookNumbers,
  msg,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFT_DATA_VERDICT,
  NFT_SET_ELEM_INTERVAL_END,
  NFT_TABLE_F_OWNER,
  NFT_TABLE_F_PERSIST,
  NFTA_LIST_ELEM,
  NFTA_SET_DESC_CONCAT,
  NFTA_SET_FIELD_LEN,
  ruleAttr,
  setAttr,
  setFlag,
  tableAttr,
  verdictCodes,
} from './constants.ts';
import { encodeKey, fieldBytes, keyByteOrder, keyLength, keyType, successor } from './elements.ts';
import { writeStatement, writeVerdict } from './expressions.ts';
import type { Element, NftOp, NftRule, SetSpec, TableRef } from './model.ts';
import { ruleUserdata } from './userdata.ts';

/** AF_INET and AF_INET6, include/linux/socket.h. */
export const addressFamily = { 4: 2, 6: 10 } as const;

/** Members per message: the largest take about 100 bytes each, and an attribute holds 64 KiB. */
const elementsPerMessage = 400;

export interface Batch {
  readonly bytes: Uint8Array;
  /** Which operation a message with that sequence number belongs to. */
  readonly opOfSeq: ReadonlyMap<number, number>;
  /** The message that asks for an acknowledgement: its answer proves that the kernel took the batch. */
  readonly lastSeq: number;
}

export function encodeBatch(ops: readonly NftOp[], nextSeq: () => number): Batch {
  const writer = new NetlinkWriter(64 * 1024);
  const opOfSeq = new Map<number, number>();
  let lastSeq = 0;
  frame(writer, NFNL_MSG_BATCH_BEGIN, nextSeq());
  for (const [index, op] of ops.entries()) {
    const messages = messagesOfOp(op);
    for (const [part, message] of messages.entries()) {
      const isLast = index === ops.length - 1 && part === messages.length - 1;
      lastSeq = nextSeq();
      opOfSeq.set(lastSeq, index);
      const flags = NLM_F_REQUEST | message.flags | (isLast ? NLM_F_ACK : 0);
      writer.message((NFNL_SUBSYS_NFTABLES << 8) | message.type, flags, lastSeq, (w) => {
        w.nfgenmsg(addressFamily[op.table.family]);
        message.fill(w);
      });
    }
  }
  frame(writer, NFNL_MSG_BATCH_END, nextSeq());
  return { bytes: writer.bytes, opOfSeq, lastSeq };
}

function frame(writer: NetlinkWriter, type: number, seq: number): void {
  writer.message(type, NLM_F_REQUEST, seq, (w) => w.nfgenmsg(0, NFNL_SUBSYS_NFTABLES));
}

interface Message {
  readonly type: number;
  readonly flags: number;
  fill(w: NetlinkWriter): void;
}

function messagesOfOp(op: NftOp): readonly Message[] {
  const { table } = op;
  switch (op.op) {
    case 'add-table':
      return [create(msg.NEWTABLE, (w) => writeTable(w, table, op.owned))];
    case 'delete-table':
      return [remove(msg.DELTABLE, (w) => w.attrString(tableAttr.NAME, table.name))];
    case 'add-chain':
      return [create(msg.NEWCHAIN, (w) => writeChain(w, op))];
    case 'flush-chain':
      return [remove(msg.DELRULE, (w) => named(w, ruleAttr.TABLE, table, ruleAttr.CHAIN, op.chain))];
    case 'delete-chain':
      return [remove(msg.DELCHAIN, (w) => named(w, chainAttr.TABLE, table, chainAttr.NAME, op.chain))];
    case 'add-rule':
      return [
        {
          type: msg.NEWRULE,
          flags: NLM_F_CREATE | NLM_F_APPEND,
          fill: (w) => writeRule(w, table, op.chain, op.rule),
        },
      ];
    case 'add-set':
      return [create(msg.NEWSET, (w) => writeSet(w, table, op.set, op.spec))];
    case 'delete-set':
      return [remove(msg.DELSET, (w) => named(w, setAttr.TABLE, table, setAttr.NAME, op.set))];
    case 'add-elements':
    case 'delete-elements':
      return chunks(op.elements).map((elements) => ({
        type: op.op === 'add-elements' ? msg.NEWSETELEM : msg.DELSETELEM,
        flags: op.op === 'add-elements' ? NLM_F_CREATE : 0,
        fill: (w) => writeElements(w, table, op.set, op.spec, elements),
      }));
    default:
      return assertNever(op);
  }
}

function create(type: number, fill: (w: NetlinkWriter) => void): Message {
  return { type, flags: NLM_F_CREATE, fill };
}

function remove(type: number, fill: (w: NetlinkWriter) => void): Message {
  return { type, flags: 0, fill };
}

function named(w: NetlinkWriter, tableType: number, table: TableRef, nameType: number, name: string): void {
  w.attrString(tableType, table.name).attrString(nameType, name);
}

function writeTable(w: NetlinkWriter, table: TableRef, owned: boolean): void {
  w.attrString(tableAttr.NAME, table.name);
  if (owned) w.attrU32be(tableAttr.FLAGS, NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST);
}

function writeChain(w: NetlinkWriter, op: Extract<NftOp, { op: 'add-chain' }>): void {
  named(w, chainAttr.TABLE, op.table, chainAttr.NAME, op.chain);
  const { hook } = op;
  if (!hook) return;
  w.nested(chainAttr.HOOK, () => {
    w.attrU32be(hookAttr.HOOKNUM, hookNumbers[hook.hook]);
    w.attrU32be(hookAttr.PRIORITY, hook.priority);
  });
  w.attrU32be(chainAttr.POLICY, verdictCodes[hook.policy]);
  w.attrString(chainAttr.TYPE, hook.type);
}

function writeRule(w: NetlinkWriter, table: TableRef, chain: string, rule: NftRule): void {
  named(w, ruleAttr.TABLE, table, ruleAttr.CHAIN, chain);
  w.nested(ruleAttr.EXPRESSIONS, () => {
    for (const statement of rule.statements) writeStatement(w, statement, table.family);
  });
  w.attrBytes(ruleAttr.USERDATA, ruleUserdata(rule, table.family));
}

function writeSet(w: NetlinkWriter, table: TableRef, set: string, spec: SetSpec): void {
  named(w, setAttr.TABLE, table, setAttr.NAME, set);
  w.attrU32be(setAttr.FLAGS, setFlags(spec));
  w.attrU32be(setAttr.KEY_TYPE, keyType(spec, table.family));
  w.attrU32be(setAttr.KEY_LEN, keyLength(spec, table.family));
  if (spec.map) w.attrU32be(setAttr.DATA_TYPE, NFT_DATA_VERDICT);
  if (spec.map) w.attrU32be(setAttr.DATA_LEN, 0);
  w.attrU32be(setAttr.ID, 1); // must be there; we refer to sets by name only
  if (isConcatenatedInterval(spec)) writeFieldLengths(w, table, spec);
  w.attrBytes(setAttr.USERDATA, setUserdata(spec));
}

function setFlags(spec: SetSpec): number {
  const interval = spec.interval ? setFlag.INTERVAL : 0;
  return (
    interval | (spec.map ? setFlag.MAP : 0) | (spec.interval && spec.key.length > 1 ? setFlag.CONCAT : 0)
  );
}

export function isConcatenatedInterval(spec: SetSpec): boolean {
  return spec.interval && spec.key.length > 1;
}

/** pipapo must know where fields end: net/netfilter/nft_set_pipapo.c. */
function writeFieldLengths(w: NetlinkWriter, table: TableRef, spec: SetSpec): void {
  w.nested(setAttr.DESC, () => {
    w.nested(NFTA_SET_DESC_CONCAT, () => {
      for (const field of spec.key) {
        w.nested(NFTA_LIST_ELEM, () => w.attrU32be(NFTA_SET_FIELD_LEN, fieldBytes(field, table.family)));
      }
    });
  });
}

/** NFTNL_UDATA_SET_KEYBYTEORDER (0), without which `nft list` prints keys wrongly; 32 bits in host order. */
function setUserdata(spec: SetSpec): Uint8Array {
  return Uint8Array.from([0, 4, keyByteOrder(spec), 0, 0, 0]);
}

function chunks(elements: readonly Element[]): readonly (readonly Element[])[] {
  const parts: (readonly Element[])[] = [];
  for (let at = 0; at < elements.length; at += elementsPerMessage)
    parts.push(elements.slice(at, at + elementsPerMessage));
  return parts;
}

function writeElements(
  w: NetlinkWriter,
  table: TableRef,
  set: string,
  spec: SetSpec,
  elements: readonly Element[],
): void {
  named(w, elemListAttr.TABLE, table, elemListAttr.SET, set);
  w.nested(elemListAttr.ELEMENTS, () => {
    for (const element of elements) writeElement(w, table, spec, element);
  });
}

/** An interval is two keys in a tree (start, and the key behind its end), one key with its end in pipapo. */
function writeElement(w: NetlinkWriter, table: TableRef, spec: SetSpec, element: Element): void {
  const { first, last } = encodeKey(element.key, spec, table.family);
  w.nested(NFTA_LIST_ELEM, () => {
    key(w, elemAttr.KEY, first);
    if (isConcatenatedInterval(spec)) key(w, elemAttr.KEY_END, last);
    const { verdict } = element;
    if (verdict) w.nested(elemAttr.DATA, () => writeVerdict(w, verdict));
  });
  if (!spec.interval || isConcatenatedInterval(spec)) return;
  const end = successor(last);
  if (!end) return;
  w.nested(NFTA_LIST_ELEM, () => {
    key(w, elemAttr.KEY, end);
    w.attrU32be(elemAttr.FLAGS, NFT_SET_ELEM_INTERVAL_END);
  });
}

function key(w: NetlinkWriter, type: number, bytes: Uint8Array): void {
  w.nested(type, () => w.attrBytes(dataAttr.VALUE, bytes));
}
