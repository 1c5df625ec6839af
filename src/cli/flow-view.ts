// SPDX-License-Identifier: Apache-2.0
/** Records of the flow log for people: which of them are wanted, and what is shown of each. */
import type { FlowEnd, FlowRecord } from '../contract/flow.ts';
import { parseAddress } from '../lib/address.ts';
import { protocolName } from '../lib/protocol.ts';
import type { FlowRow } from '../observe/flow-log.ts';
import type { FromNode } from './agent-inspection.ts';
import { type Column, socketText } from './ebpf-tables.ts';
import { printable } from './exit.ts';

export type NodeFlow = FromNode<FlowRecord>;

export interface FlowFilter {
  readonly denied?: boolean;
  readonly endpoint?: string;
  readonly address?: string;
}

/** @throws {InvalidError} for what is no address. */
export function flowFilter({ denied, endpoint, address }: FlowFilter): (flow: FlowRecord) => boolean {
  const wanted = address === undefined ? null : parseAddress(address);
  return (flow) =>
    (denied !== true || flow.verdict === 'deny') &&
    (endpoint === undefined || endpointsOf(flow).some((each) => isNamed(each, endpoint))) &&
    (wanted === null || addressesOf(flow).includes(wanted));
}

function endpointsOf({ src, dst, trace }: FlowRecord) {
  const all = [src.endpoint, dst.endpoint, ...trace.map(({ endpoint }) => endpoint)];
  return all.filter((endpoint) => endpoint !== null);
}

/** As `muslin ebpf` takes names: id, name, or what a name ends in. */
function isNamed({ id, name }: { readonly id: string; readonly name: string }, text: string): boolean {
  return id === text || name === text || name.endsWith(`/${text}`);
}

function addressesOf({ src, dst }: FlowRecord): readonly string[] {
  return [src, dst].flatMap(({ address, translated }) => [
    address,
    ...(translated ? [translated.address] : []),
  ]);
}

export const flowColumns: readonly Column<FlowRecord>[] = [
  { title: 'TIME', cell: ({ timeMs }) => timeText(timeMs) },
  { title: 'VERDICT', cell: ({ verdict }) => verdict },
  { title: 'PROTOCOL', cell: protocolText },
  { title: 'SOURCE', cell: ({ src }) => endText(src) },
  { title: 'DESTINATION', cell: destinationText },
  { title: 'AT', cell: ({ hook }) => hook, wide: true },
  { title: 'BYTES', cell: ({ length }) => String(length), wide: true },
  { title: 'LOG', cell: ({ logs }) => logs.map(({ prefix }) => prefix).join('; ') || '-', wide: true },
  { title: 'TRACE', cell: traceText, wide: true },
  { title: 'WHY', cell: whyText },
];

/** Of rows that count: without what differs among the records. */
export const countColumns: readonly Column<FlowRow>[] = [
  { title: 'RECORDS', cell: ({ records }) => String(records) },
  { title: 'LAST', cell: ({ lastMs }) => timeText(lastMs) },
  { title: 'VERDICT', cell: ({ flow }) => flow.verdict },
  { title: 'PROTOCOL', cell: ({ flow }) => protocolText(flow) },
  { title: 'SOURCE', cell: ({ flow: { src } }) => endText({ ...src, port: null, translated: null }) },
  { title: 'DESTINATION', cell: ({ flow }) => destinationText(flow) },
  { title: 'AT', cell: ({ flow }) => flow.hook, wide: true },
  { title: 'TRACE', cell: ({ flow }) => traceText(flow), wide: true },
  { title: 'WHY', cell: ({ flow }) => whyText(flow) },
];

/** What comes later cannot widen a column: each starts where a usual one ends. */
const widths: { readonly [title: string]: number } = {
  NODE: 8,
  TIME: 12,
  VERDICT: 7,
  PROTOCOL: 8,
  SOURCE: 34,
  DESTINATION: 34,
  AT: 13,
};

/** One record as it comes. */
export function flowLine<T>(row: T, columns: readonly Column<T>[]): string {
  const cells = columns.map(({ title, cell }) => printable(cell(row)).padEnd(widths[title] ?? 0));
  return `${cells.join('  ').trimEnd()}\n`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}

function protocolText({ protocol, icmp }: FlowRecord): string {
  return icmp ? `${protocolName(protocol)} ${icmp.type}/${icmp.code}` : protocolName(protocol);
}

function destinationText({ dst, service }: FlowRecord): string {
  return service === null ? endText(dst) : `${service} ${endText(dst)}`;
}

/** `shop/web 10.0.0.1:40000`, with what its address became. */
function endText({ endpoint, translated, ...socket }: FlowEnd): string {
  const name = endpoint ? `${endpoint.name} ` : '';
  const became = translated ? ` > ${socketText(translated)}` : '';
  return `${name}${socketText(socket)}${became}`;
}

function traceText({ trace }: FlowRecord): string {
  return (
    trace.map(({ endpoint, rule }) => `${endpoint?.name ?? 'gone'}: ${rule ?? 'undecided'}`).join('; ') || '-'
  );
}

/** The rule that decided last; where no policy did, the reason alone. */
function whyText({ trace, reason }: FlowRecord): string {
  const rule = trace.at(-1)?.rule ?? null;
  if (reason === null || reason === 'policy') return rule ?? reason ?? '-';
  return reason;
}
