// SPDX-License-Identifier: Apache-2.0
/** What the kernel lists of our tables, back in the model's terms. */
import type { Family } from '../../lib/address.ts';
import type { Attributes, NetlinkMessage } from '../netlink/reader.ts';
import {
  chainAttr,
  dataAttr,
  elemAttr,
  hookAttr,
  hookNumbers,
  NFT_SET_ELEM_INTERVAL_END,
  ruleAttr,
  setAttr,
  setFlag,
  verdictAttr,
  verdictCodes,
} from './constants.ts';
import { decodeKey, keyType, lastKey, predecessor } from './elements.ts';
import { isConcatenatedInterval } from './encode.ts';
import type { BaseHook, Element, KeyField, SetSpec, Verdict } from './model.ts';
import { readFingerprint } from './userdata.ts';

const nfgenmsgBytes = 4;

export function decodeTableName(message: NetlinkMessage, nameType: number): string {
  for (const attribute of message.attributes(nfgenmsgBytes))
    if (attribute.type === nameType) return attribute.string();
  return '';
}

export interface ChainRow {
  readonly table: string;
  readonly name: string;
  readonly hook: BaseHook | null;
}

export function decodeChain(message: NetlinkMessage): ChainRow {
  const row = {
    table: '',
    name: '',
    type: '',
    policy: 1,
    hook: null as { number: number; priority: number } | null,
  };
  for (const attribute of message.attributes(nfgenmsgBytes)) {
    if (attribute.type === chainAttr.TABLE) row.table = attribute.string();
    else if (attribute.type === chainAttr.NAME) row.name = attribute.string();
    else if (attribute.type === chainAttr.TYPE) row.type = attribute.string();
    else if (attribute.type === chainAttr.POLICY) row.policy = attribute.u32be();
    else if (attribute.type === chainAttr.HOOK) row.hook = decodeHook(attribute.nested());
  }
  return {
    table: row.table,
    name: row.name,
    hook: row.hook ? baseHook(row.hook, row.type, row.policy) : null,
  };
}

function decodeHook(attributes: Attributes): { number: number; priority: number } {
  const hook = { number: 0, priority: 0 };
  for (const attribute of attributes) {
    if (attribute.type === hookAttr.HOOKNUM) hook.number = attribute.u32be();
    else if (attribute.type === hookAttr.PRIORITY) hook.priority = attribute.u32be() | 0; // signed
  }
  return hook;
}

function baseHook(hook: { number: number; priority: number }, type: string, policy: number): BaseHook {
  const names = Object.keys(hookNumbers) as (keyof typeof hookNumbers)[];
  return {
    type: type as BaseHook['type'],
    hook: names.find((name) => hookNumbers[name] === hook.number) ?? 'input',
    priority: hook.priority,
    policy: policy === verdictCodes.drop ? 'drop' : 'accept',
  };
}

export interface RuleRow {
  readonly table: string;
  readonly chain: string;
  readonly fingerprint: string | null;
}

export function decodeRule(message: NetlinkMessage): RuleRow {
  const row = { table: '', chain: '', fingerprint: null as string | null };
  for (const attribute of message.attributes(nfgenmsgBytes)) {
    if (attribute.type === ruleAttr.TABLE) row.table = attribute.string();
    else if (attribute.type === ruleAttr.CHAIN) row.chain = attribute.string();
    else if (attribute.type === ruleAttr.USERDATA) row.fingerprint = readFingerprint(attribute.bytes());
  }
  return row;
}

export interface SetRow {
  readonly table: string;
  readonly name: string;
  /** Null: of a kind that we never make. */
  readonly spec: SetSpec | null;
  readonly anonymous: boolean;
}

export function decodeSet(message: NetlinkMessage, family: Family): SetRow {
  const row = { table: '', name: '', flags: 0, keyType: 0 };
  for (const attribute of message.attributes(nfgenmsgBytes)) {
    if (attribute.type === setAttr.TABLE) row.table = attribute.string();
    else if (attribute.type === setAttr.NAME) row.name = attribute.string();
    else if (attribute.type === setAttr.FLAGS) row.flags = attribute.u32be();
    else if (attribute.type === setAttr.KEY_TYPE) row.keyType = attribute.u32be();
  }
  const anonymous = (row.flags & setFlag.ANONYMOUS) !== 0;
  return { table: row.table, name: row.name, spec: specOf(row.flags, row.keyType, family), anonymous };
}

/** Every key that rules/ asks for; what is not here was made by someone else. */
const knownKeys: readonly (readonly KeyField[])[] = [
  ['address'],
  ['port'],
  ['ifname'],
  ['protocol', 'port'],
  ['address', 'protocol', 'port'],
];

function specOf(flags: number, type: number, family: Family): SetSpec | null {
  const interval = (flags & setFlag.INTERVAL) !== 0;
  const key = knownKeys.find((candidate) => keyType({ key: candidate, interval }, family) === type);
  if (!key) return null;
  return { key, interval, ...(flags & setFlag.MAP ? { map: 'verdict' as const } : {}) };
}

interface RawElement {
  key: Uint8Array;
  keyEnd: Uint8Array | null;
  isEnd: boolean;
  verdict: Verdict | null;
}

export function decodeRawElement(attributes: Attributes): RawElement {
  const element: RawElement = { key: new Uint8Array(), keyEnd: null, isEnd: false, verdict: null };
  for (const attribute of attributes) {
    if (attribute.type === elemAttr.KEY) element.key = decodeValue(attribute.nested());
    else if (attribute.type === elemAttr.KEY_END) element.keyEnd = decodeValue(attribute.nested());
    else if (attribute.type === elemAttr.FLAGS)
      element.isEnd = (attribute.u32be() & NFT_SET_ELEM_INTERVAL_END) !== 0;
    else if (attribute.type === elemAttr.DATA) element.verdict = decodeVerdict(attribute.nested());
  }
  return element;
}

function decodeValue(attributes: Attributes): Uint8Array {
  for (const attribute of attributes) if (attribute.type === dataAttr.VALUE) return attribute.bytes();
  return new Uint8Array();
}

function decodeVerdict(attributes: Attributes): Verdict | null {
  for (const attribute of attributes) {
    if (attribute.type === dataAttr.VERDICT) return verdictOf(attribute.nested());
  }
  return null;
}

function verdictOf(attributes: Attributes): Verdict | null {
  let code = 0;
  let chain = '';
  for (const attribute of attributes) {
    if (attribute.type === verdictAttr.CODE)
      code = attribute.u32be() | 0; // signed
    else if (attribute.type === verdictAttr.CHAIN) chain = attribute.string();
  }
  const kinds = Object.keys(verdictCodes) as (keyof typeof verdictCodes)[];
  const kind = kinds.find((name) => verdictCodes[name] === code);
  if (!kind) return null;
  return kind === 'jump' || kind === 'goto' ? { kind, chain } : { kind };
}

/** Pairs the borders of an interval tree; other sets stand as they are. */
export function elementsOf(raw: readonly RawElement[], spec: SetSpec, family: Family): readonly Element[] {
  const ranges =
    spec.interval && !isConcatenatedInterval(spec) ? pairBorders(raw, spec, family) : raw.map(asRange);
  return ranges.map(({ first, last, verdict }) => {
    const key = decodeKey({ first, last }, spec, family);
    return verdict ? { key, verdict } : { key };
  });
}

function asRange(raw: RawElement): { first: Uint8Array; last: Uint8Array; verdict: Verdict | null } {
  return { first: raw.key, last: raw.keyEnd ?? raw.key, verdict: raw.verdict };
}

/** The kernel lists a tree from its far end or from its near one, by version: sort, an end before a start at one key. */
function pairBorders(
  raw: readonly RawElement[],
  spec: SetSpec,
  family: Family,
): ReturnType<typeof asRange>[] {
  const borders = raw.toSorted((a, b) => Buffer.compare(a.key, b.key) || Number(b.isEnd) - Number(a.isEnd));
  const ranges: ReturnType<typeof asRange>[] = [];
  for (const [i, border] of borders.entries()) {
    if (border.isEnd) continue;
    const end = borders[i + 1];
    const last = end ? predecessor(end.key) : lastKey(spec, family);
    ranges.push({ first: border.key, last, verdict: border.verdict });
  }
  return ranges;
}
