// SPDX-License-Identifier: Apache-2.0
/** The maps `sets` and `nets`: what programs look addresses up in. */
import type {
  InspectedMember,
  InspectedSet,
  Inspection,
  IpSetAnswer,
  IpSetsAnswer,
} from '../../contract/inspect.ts';
import { familyOf } from '../../lib/address.ts';
import { cidrContains, hostCidr } from '../../lib/cidr.ts';
import { NotFoundError } from '../../lib/errors.ts';
import { type Inspected, Picked, unhurried } from './inspected.ts';
import { netKeyAt, setKeyAt } from './layout.ts';
import type { Lookup, LookupSource } from './lookup.ts';
import { cidrAt, viewOf } from './row-view.ts';

type Question = Extract<Inspection, { kind: 'ipset' }>;

const addressBits = 128;
/** What stands before the address in a key of `nets`. */
const setBits = 64;

export function ipSetsAnswer(of: Inspected, limit: number): IpSetsAnswer {
  const picked = new Picked<InspectedSet>(limit);
  const sets = [...of.lookups()].map(inspectedSet).sort((a, b) => (a.description < b.description ? -1 : 1));
  for (const set of sets) picked.add(() => set);
  return { kind: 'ipsets', sets: picked.rows, leftOut: picked.leftOut };
}

/** @throws {NotFoundError} */
export async function ipSetAnswer(of: Inspected, question: Question): Promise<IpSetAnswer> {
  const set = setNamed(of, question.id);
  const picked = new Picked<InspectedMember>(question.limit);
  const wanted = (member: InspectedMember) =>
    question.address === undefined || holds(member, question.address);
  const number = BigInt(`0x${set.id}`);
  for await (const [key, value] of unhurried(of.map('sets'))) {
    if (viewOf(key).getBigUint64(setKeyAt.set, true) !== number) continue;
    const member = addressMember(viewOf(key), viewOf(value), set);
    if (wanted(member)) picked.add(() => member);
  }
  for (const [key, value] of of.map('nets').entries()) {
    if (viewOf(key).getBigUint64(netKeyAt.set, true) !== number) continue;
    const member = netMember(viewOf(key), viewOf(value), set);
    if (wanted(member)) picked.add(() => member);
  }
  return { kind: 'ipset', set, members: picked.rows, leftOut: picked.leftOut };
}

function setNamed(of: Inspected, text: string): InspectedSet {
  const sets = [...of.lookups()].map(inspectedSet);
  const isAlone = ({ sources }: InspectedSet) => sources.length === 1 && sources[0] === text;
  const set = sets.find(({ id }) => id === text) ?? sets.find(isAlone);
  if (set) return set;
  const within = sets.filter(({ sources }) => sources.includes(text)).map(({ id }) => id);
  const hint = within.length === 0 ? 'no policy on this node asks it' : `it is part of ${within.join(', ')}`;
  throw new NotFoundError(`cannot find IP set ${text}: ${hint}`);
}

function inspectedSet({
  lookup,
  rows,
  description,
}: {
  readonly lookup: Lookup;
  readonly rows: number;
  readonly description: string;
}): InspectedSet {
  const { id, family, of, sources } = lookup;
  const hex = id.toString(16).padStart(16, '0');
  return { id: hex, family, of, description, sources: sources.map(sourceText), rows };
}

function sourceText(source: LookupSource): string {
  return 'set' in source ? source.set : `${source.nets.length} nets`;
}

function addressMember(key: DataView, value: DataView, set: InspectedSet): InspectedMember {
  const isPort = set.of === 'port';
  return {
    cidr: cidrAt(key, setKeyAt.address, addressBits),
    protocol: isPort ? key.getUint8(setKeyAt.protocol) : null,
    port: isPort ? key.getUint16(setKeyAt.port, true) : null,
    source: sourceOf(value, set),
  };
}

function netMember(key: DataView, value: DataView, set: InspectedSet): InspectedMember {
  const length = key.getUint32(netKeyAt.prefixLength, true) - setBits;
  const cidr = cidrAt(key, netKeyAt.address, length);
  return { cidr, protocol: null, port: null, source: sourceOf(value, set) };
}

/** Rows hold the index and one. */
function sourceOf(value: DataView, { sources }: InspectedSet): string | null {
  return sources[value.getUint32(0, true) - 1] ?? null;
}

function holds({ cidr }: InspectedMember, address: NonNullable<Question['address']>): boolean {
  return familyOf(cidr) === familyOf(address) && cidrContains(cidr, hostCidr(address));
}
