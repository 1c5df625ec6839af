// SPDX-License-Identifier: Apache-2.0
/** A difference as people read it: what becomes allowed and what denied, by which rule, widest first. */
import { hasPorts, protocolName } from '../lib/protocol.ts';
import { type ReachChange, type ReachPair, sizeOf } from './evaluators/reach-diff.ts';
import type { PacketKind } from './evaluators/reachability.ts';

/** Ends that are named of a longer list, unless all are asked for. */
const shownNames = 4;

export interface DiffReport {
  readonly objects: readonly { readonly name: string; readonly outcome: string }[];
  /** Ends that are in one state alone: their pairs are not compared. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** How many ends and packets were compared. */
  readonly ends: number;
  readonly packets: number;
  readonly changes: readonly ReachChange[];
}

/** @param all - lists each pair. */
export function diffText(report: DiffReport, all: boolean): string {
  const { objects, added, removed, ends, packets, changes } = report;
  const compared = `${ends} ends, ${ends * (ends - 1)} pairs, ${packets} packets each`;
  const sections = (['allowed', 'denied'] as const).map((change) =>
    sectionText(
      change,
      changes.filter((each) => each.change === change),
      all,
    ),
  );
  const lines = [
    ...(objects.length === 0
      ? ['no object would change']
      : objects.map(({ name, outcome }) => `${name} ${outcome}`)),
    ...(added.length > 0 ? [`new, and not compared: ${namesText(added, all)}`] : []),
    ...(removed.length > 0 ? [`gone, and not compared: ${namesText(removed, all)}`] : []),
    `compared: ${compared}`,
    changes.length === 0 ? '\nnothing would become allowed or denied' : '',
  ];
  return `${lines.join('\n').trimEnd()}\n${sections.join('')}`;
}

function sectionText(change: ReachChange['change'], changes: readonly ReachChange[], all: boolean): string {
  if (changes.length === 0) return '';
  const total = changes.reduce((sum, each) => sum + sizeOf(each), 0);
  const byDeciders = Map.groupBy(changes, ({ before, after }) => `${before}\n${after}`);
  const groups = [...byDeciders.values()].map((group) => groupText(group, all));
  return `\nwould become ${change}: ${counted(total, 'case')}\n${groups.join('')}`;
}

/** Those that the same rules decide, before and after. */
function groupText(changes: readonly ReachChange[], all: boolean): string {
  const lines = [
    '',
    `  before by ${changes[0]?.before}`,
    `  after by ${changes[0]?.after}`,
    ...changes.flatMap(({ packets, pairs }) => [
      `    ${packetsText(packets)}: ${counted(pairs.length, 'pair')}`,
      ...(all ? pairs.map(({ from, to }) => `      ${from} -> ${to}`) : [`      ${pairsText(pairs)}`]),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Sources and destinations; where not each of the former is meant with each of the latter, one pair as an example. */
function pairsText(pairs: readonly ReachPair[]): string {
  const [first] = pairs;
  const [sources, destinations] = [
    new Set(pairs.map(({ from }) => from)),
    new Set(pairs.map(({ to }) => to)),
  ];
  const itself = [...sources].filter((name) => destinations.has(name)).length;
  const isProduct = pairs.length === sources.size * destinations.size - itself;
  const text = `${namesText([...sources], false)} -> ${namesText([...destinations], false)}`;
  return isProduct ? text : `${text}, for instance ${first?.from} -> ${first?.to}`;
}

function namesText(names: readonly string[], all: boolean): string {
  const rest = names.length - shownNames;
  if (all || rest <= 1) return names.join(', ');
  return `${names.slice(0, shownNames).join(', ')} and ${rest} more`;
}

/** `TCP 80, 443; UDP 53; ICMP`; a family is named where it is not the same for both. */
export function packetsText(packets: readonly PacketKind[]): string {
  const families = new Map<string, Set<number>>();
  for (const packet of packets) {
    const name = packetText(packet);
    families.set(name, (families.get(name) ?? new Set()).add(packet.ipVersion));
  }
  const isEven = new Set([...families.values()].map((each) => [...each].join())).size === 1;
  const [some] = families.values();
  const suffix = isEven && some?.size === 1 ? ` (IPv${[...some][0]})` : '';
  const groups = Map.groupBy(families, ([name]) => name.split(' ')[0] ?? '');
  const texts = [...groups].map(([protocol, entries]) => {
    const details = entries.map(([name, versions]) => {
      const detail = name.slice(protocol.length + 1);
      return isEven || versions.size > 1 ? detail : `${detail} (IPv${[...versions][0]})`.trimStart();
    });
    return `${protocol} ${details.join(', ')}`.trimEnd();
  });
  return `${texts.join('; ')}${suffix}`;
}

function packetText({ protocol, port, icmpType, icmpCode }: PacketKind): string {
  const name = protocolName(protocol).replace('ICMPv6', 'ICMP');
  if (hasPorts(protocol)) return `${name} ${port}`;
  const isEcho = icmpType === 8 || icmpType === 128;
  return icmpType === undefined || isEcho ? name : `${name} type ${icmpType} code ${icmpCode}`;
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
