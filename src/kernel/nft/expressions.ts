// SPDX-License-Identifier: Apache-2.0
/**
 * Statements as the kernel's expressions: load into a register, compare or look up, take a verdict. An expression that
 * finds nothing to load (a header too short, no interface) ends the rule without a match: net/netfilter/nf_tables_core.c.
 */
import { addressBytes, bitsOf, type Family } from '../../lib/address.ts';
import { addressOf, parseCidr, prefixLength } from '../../lib/cidr.ts';
import { assertNever } from '../../lib/errors.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  bitwiseAttr,
  cmpAttr,
  ctAttr,
  ctStateBits,
  dataAttr,
  exprAttr,
  immediateAttr,
  logAttr,
  lookupAttr,
  metaAttr,
  metaKey,
  NFT_CMP_EQ,
  NFT_CMP_NEQ,
  NFT_CT_STATE,
  NFT_LOOKUP_F_INV,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER,
  NFT_REG_VERDICT,
  NFT_REG32_00,
  NFTA_LIST_ELEM,
  payloadAttr,
  rangeAttr,
  verdictAttr,
  verdictCodes,
} from './constants.ts';
import { fieldBytes, ifNameKey, paddedBytes, portBytes } from './elements.ts';
import type { Field, KeyField, Statement, Verdict } from './model.ts';

const encoder = new TextEncoder();

export function writeStatement(w: NetlinkWriter, statement: Statement, family: Family): void {
  const op = 'negate' in statement && statement.negate ? NFT_CMP_NEQ : NFT_CMP_EQ;
  switch (statement.kind) {
    case 'equal':
      load(w, statement.field, NFT_REG32_00, family);
      return compare(w, op, valueBytes(statement.field, statement.value, family));
    case 'range':
      load(w, statement.field, NFT_REG32_00, family);
      return range(w, op, statement.field, statement.first, statement.last, family);
    case 'prefix':
      load(w, statement.field, NFT_REG32_00, family);
      return compare(w, op, encoder.encode(statement.prefix));
    case 'cidr':
      return cidr(w, statement.field, statement.cidr, op, family);
    case 'lookup':
      loadAll(w, statement.fields, family);
      return lookup(w, statement.set, statement.negate ?? false, false);
    case 'vmap':
      loadAll(w, statement.fields, family);
      return lookup(w, statement.map, false, true);
    case 'ct-state':
      return ctState(w, statement.states, statement.negate ?? false);
    case 'mark-test':
      loadMark(w);
      bitwise(w, 4, hostU32(statement.mask), hostU32(0));
      return compare(w, NFT_CMP_EQ, hostU32(statement.value));
    case 'mark-set':
      return setMark(w, statement.mask, statement.value);
    case 'counter':
      return expression(w, 'counter', () => {});
    case 'notrack':
      return expression(w, 'notrack', () => {});
    case 'log':
      return expression(w, 'log', () => w.attrString(logAttr.PREFIX, statement.prefix));
    case 'verdict':
      return expression(w, 'immediate', () => {
        w.attrU32be(immediateAttr.DREG, NFT_REG_VERDICT);
        w.nested(immediateAttr.DATA, () => writeVerdict(w, statement.verdict));
      });
    default:
      return assertNever(statement);
  }
}

/** NFTA_DATA_VERDICT, also the value of a verdict map's element. */
export function writeVerdict(w: NetlinkWriter, verdict: Verdict): void {
  w.nested(dataAttr.VERDICT, () => {
    w.attrU32be(verdictAttr.CODE, verdictCodes[verdict.kind]);
    if ('chain' in verdict) w.attrString(verdictAttr.CHAIN, verdict.chain);
  });
}

function expression(w: NetlinkWriter, name: string, fill: () => void): void {
  w.nested(NFTA_LIST_ELEM, () => {
    w.attrString(exprAttr.NAME, name);
    w.nested(exprAttr.DATA, fill);
  });
}

/** What a field is as a member of sets, hence how wide it is and how a concatenation pads it. */
export function keyFieldOf(field: Field): KeyField {
  switch (field) {
    case 'saddr':
    case 'daddr':
      return 'address';
    case 'protocol':
    case 'icmp-type':
    case 'icmp-code':
      return 'protocol';
    case 'sport':
    case 'dport':
      return 'port';
    case 'iifname':
    case 'oifname':
      return 'ifname';
    default:
      return assertNever(field);
  }
}

function loadAll(w: NetlinkWriter, fields: readonly Field[], family: Family): void {
  let register = NFT_REG32_00;
  for (const field of fields) {
    load(w, field, register, family);
    register += paddedBytes(keyFieldOf(field), family) / 4;
  }
}

/** Offsets: RFC 791 section 3.1, RFC 8200 section 3; ports lead the headers of TCP, UDP and SCTP alike. */
const addressOffset = { saddr: { 4: 12, 6: 8 }, daddr: { 4: 16, 6: 24 } } as const;
const transportOffset = { sport: 0, dport: 2, 'icmp-type': 0, 'icmp-code': 1 } as const;

function load(w: NetlinkWriter, field: Field, register: number, family: Family): void {
  switch (field) {
    case 'saddr':
    case 'daddr':
      return payload(
        w,
        register,
        NFT_PAYLOAD_NETWORK_HEADER,
        addressOffset[field][family],
        bitsOf[family] / 8,
      );
    case 'sport':
    case 'dport':
    case 'icmp-type':
    case 'icmp-code':
      return payload(
        w,
        register,
        NFT_PAYLOAD_TRANSPORT_HEADER,
        transportOffset[field],
        fieldBytes(keyFieldOf(field), family),
      );
    case 'protocol':
      return meta(w, register, metaKey.L4PROTO);
    case 'iifname':
      return meta(w, register, metaKey.IIFNAME);
    case 'oifname':
      return meta(w, register, metaKey.OIFNAME);
    default:
      return assertNever(field);
  }
}

function payload(w: NetlinkWriter, register: number, base: number, offset: number, length: number): void {
  expression(w, 'payload', () => {
    w.attrU32be(payloadAttr.DREG, register);
    w.attrU32be(payloadAttr.BASE, base);
    w.attrU32be(payloadAttr.OFFSET, offset);
    w.attrU32be(payloadAttr.LEN, length);
  });
}

function meta(w: NetlinkWriter, register: number, key: number): void {
  expression(w, 'meta', () => {
    w.attrU32be(metaAttr.DREG, register);
    w.attrU32be(metaAttr.KEY, key);
  });
}

function loadMark(w: NetlinkWriter): void {
  meta(w, NFT_REG32_00, metaKey.MARK);
}

function valueBytes(field: Field, value: string, family: Family): Uint8Array {
  const keyField = keyFieldOf(field);
  switch (keyField) {
    case 'address':
      return addressBytes(value);
    case 'protocol':
      return Uint8Array.of(Number(value));
    case 'port':
      return portBytes(Number(value));
    case 'ifname':
      return ifNameKey(value).slice(0, fieldBytes('ifname', family));
    default:
      return assertNever(keyField);
  }
}

function compare(w: NetlinkWriter, op: number, value: Uint8Array): void {
  expression(w, 'cmp', () => {
    w.attrU32be(cmpAttr.SREG, NFT_REG32_00);
    w.attrU32be(cmpAttr.OP, op);
    w.nested(cmpAttr.DATA, () => w.attrBytes(dataAttr.VALUE, value));
  });
}

function range(
  w: NetlinkWriter,
  op: number,
  field: Field,
  first: string,
  last: string,
  family: Family,
): void {
  expression(w, 'range', () => {
    w.attrU32be(rangeAttr.SREG, NFT_REG32_00);
    w.attrU32be(rangeAttr.OP, op);
    w.nested(rangeAttr.FROM_DATA, () => w.attrBytes(dataAttr.VALUE, valueBytes(field, first, family)));
    w.nested(rangeAttr.TO_DATA, () => w.attrBytes(dataAttr.VALUE, valueBytes(field, last, family)));
  });
}

function cidr(w: NetlinkWriter, field: 'saddr' | 'daddr', text: string, op: number, family: Family): void {
  const net = parseCidr(text);
  const bytes = bitsOf[family] / 8;
  load(w, field, NFT_REG32_00, family);
  bitwise(w, bytes, prefixMask(prefixLength(net), bytes), new Uint8Array(bytes));
  compare(w, op, addressBytes(addressOf(net)));
}

function prefixMask(length: number, bytes: number): Uint8Array {
  return Uint8Array.from(
    { length: bytes },
    (_, i) => (0xff << (8 - Math.min(8, Math.max(0, length - 8 * i)))) & 0xff,
  );
}

/** register = (register & mask) ^ xor. */
function bitwise(w: NetlinkWriter, length: number, mask: Uint8Array, xor: Uint8Array): void {
  expression(w, 'bitwise', () => {
    w.attrU32be(bitwiseAttr.SREG, NFT_REG32_00);
    w.attrU32be(bitwiseAttr.DREG, NFT_REG32_00);
    w.attrU32be(bitwiseAttr.LEN, length);
    w.nested(bitwiseAttr.MASK, () => w.attrBytes(dataAttr.VALUE, mask));
    w.nested(bitwiseAttr.XOR, () => w.attrBytes(dataAttr.VALUE, xor));
  });
}

function lookup(w: NetlinkWriter, set: string, invert: boolean, verdicts: boolean): void {
  expression(w, 'lookup', () => {
    w.attrString(lookupAttr.SET, set);
    w.attrU32be(lookupAttr.SREG, NFT_REG32_00);
    if (verdicts) w.attrU32be(lookupAttr.DREG, NFT_REG_VERDICT);
    if (invert) w.attrU32be(lookupAttr.FLAGS, NFT_LOOKUP_F_INV);
  });
}

function ctState(w: NetlinkWriter, states: readonly (keyof typeof ctStateBits)[], negate: boolean): void {
  const mask = states.reduce((bits, state) => bits | ctStateBits[state], 0);
  expression(w, 'ct', () => {
    w.attrU32be(ctAttr.DREG, NFT_REG32_00);
    w.attrU32be(ctAttr.KEY, NFT_CT_STATE);
  });
  bitwise(w, 4, hostU32(mask), hostU32(0));
  compare(w, negate ? NFT_CMP_EQ : NFT_CMP_NEQ, hostU32(0));
}

/** The bits of `mask` become those of `value`: (mark & ~mask) ^ value. */
function setMark(w: NetlinkWriter, mask: number, value: number): void {
  loadMark(w);
  bitwise(w, 4, hostU32(~mask), hostU32(value));
  expression(w, 'meta', () => {
    w.attrU32be(metaAttr.KEY, metaKey.MARK);
    w.attrU32be(metaAttr.SREG, NFT_REG32_00);
  });
}

/** Marks and conntrack states stand in registers in host order. */
function hostU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
  return bytes;
}
