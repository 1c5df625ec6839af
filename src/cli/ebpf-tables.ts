// SPDX-License-Identifier: Apache-2.0
/** What a data plane's maps hold, as tables for people: one function for each kind of answer of contract/inspect.ts. */
import type { FlowEndpoint } from '../contract/flow.ts';
import type {
  InspectedLink,
  InspectedMember,
  InspectedRoute,
  InspectedSet,
  InspectionKind,
  NatBackend,
  NatFrontend,
  SocketName,
  TrackedFlow,
} from '../contract/inspect.ts';
import { protocolName } from '../lib/protocol.ts';
import type { AnswerOf, FromNode } from './agent-inspection.ts';
import { plural } from './plural.ts';
import { tableText } from './table.ts';

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => string;
  /** Shown by `-o wide` alone. */
  readonly wide?: true;
}

export interface TableForm {
  readonly wide: boolean;
  /** Several nodes answered: each row says which is its own. */
  readonly several: boolean;
}

/** Nothing to show is said in words. */
export function nodeTable<T>(
  rows: readonly FromNode<T>[],
  columns: readonly Column<T>[],
  { wide, several }: TableForm,
): string {
  if (rows.length === 0) return 'none\n';
  const ofNode: Column<FromNode<T>> = { title: 'NODE', cell: ({ node }) => node };
  const shown = [...(several ? [ofNode] : []), ...columns.filter((column) => wide || !column.wide)];
  return tableText([
    shown.map(({ title }) => title),
    ...rows.map((row) => shown.map(({ cell }) => cell(row))),
  ]);
}

/** What each answer's limit left out; null: nothing, or answers of that kind have no limit. */
export function leftOutNote(kind: TableKind, answers: readonly object[]): string | null {
  const short = answers.filter(isCut);
  if (short.length === 0) return null;
  const counts = short.map(({ node, leftOut }) => `${leftOut} more on ${node}`).join(', ');
  return `note: ${views[kind].rows}: ${counts} not shown; want them with --limit, or fewer with a filter`;
}

function isCut(answer: object): answer is { readonly node: string; readonly leftOut: number } {
  return 'node' in answer && 'leftOut' in answer && answer.leftOut !== 0;
}

/** Each row of the answers with the node that it is from. */
export function withNode<A extends { readonly node: string }, T>(
  answers: readonly A[],
  rows: (answer: A) => readonly T[],
): readonly FromNode<T>[] {
  return answers.flatMap((answer) => rows(answer).map((row) => ({ ...row, node: answer.node })));
}

/** Policies are no table: policy-listing.ts. */
export type TableKind = Exclude<InspectionKind, 'policy'>;

/** What a limit cuts, and how answers are shown. */
const views: {
  readonly [K in TableKind]: {
    readonly rows: string;
    readonly table: (answers: readonly AnswerOf<K>[], form: TableForm) => string;
  };
} = {
  conntrack: { rows: 'flows', table: conntrackTable },
  nat: { rows: 'frontends', table: natTable },
  routes: { rows: 'routes', table: routesTable },
  ipsets: { rows: 'sets', table: ipSetsTable },
  ipset: { rows: 'members', table: ipSetTable },
  counters: { rows: 'rules', table: countersTable },
  links: { rows: 'links', table: linksTable },
};

export function ebpfTable<K extends TableKind>(
  kind: K,
  answers: readonly AnswerOf<K>[],
  form: TableForm,
): string {
  return views[kind].table(answers, form);
}

const flowColumns: readonly Column<TrackedFlow>[] = [
  { title: 'PROTOCOL', cell: ({ protocol }) => protocolName(protocol) },
  { title: 'SOURCE', cell: ({ src }) => socketText(src) },
  { title: 'DESTINATION', cell: ({ dst }) => socketText(dst) },
  { title: 'AS', cell: translationText },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'AGE', cell: ({ ageSeconds }) => durationText(ageSeconds), wide: true },
  { title: 'IDLE', cell: ({ idleSeconds }) => durationText(idleSeconds) },
  { title: 'IN', cell: ({ from }) => from ?? 'host', wide: true },
  { title: 'WAY', cell: wayText, wide: true },
  { title: 'ENDPOINT', cell: ({ endpoint }) => endpointText(endpoint) },
  { title: 'SERVICE', cell: ({ service }) => service ?? '-' },
  { title: 'NOTES', cell: notesText, wide: true },
  { title: 'RULE', cell: ({ rule }) => rule ?? '-' },
];

function conntrackTable(answers: readonly AnswerOf<'conntrack'>[], form: TableForm): string {
  return nodeTable(
    withNode(answers, ({ flows }) => flows),
    flowColumns,
    form,
  );
}

function translationText({ src, dst, translatedSrc, translatedDst }: TrackedFlow): string {
  if (!translatedSrc && !translatedDst) return '-';
  return `${socketText(translatedSrc ?? src)} > ${socketText(translatedDst ?? dst)}`;
}

function wayText({ way, to, via }: TrackedFlow): string {
  return [way ?? 'not found yet', ...(to === null ? [] : [to]), ...(via === null ? [] : [`by ${via}`])].join(
    ' ',
  );
}

function notesText({ learnt, dsr }: TrackedFlow): string {
  return [...(learnt ? ['taken over'] : []), ...(dsr ? ['DSR'] : [])].join(', ') || '-';
}

const natColumns: readonly Column<NatFrontend>[] = [
  { title: 'SERVICE', cell: ({ service }) => service ?? 'gone' },
  { title: 'TYPE', cell: ({ type }) => type ?? '-' },
  { title: 'PROTOCOL', cell: ({ protocol }) => protocolName(protocol) },
  { title: 'ADDRESS', cell: frontendText },
  { title: 'CLIENTS', cell: ({ scope }) => (scope === 'tunnel' ? 'by tunnel' : scope) },
  {
    title: 'FROM',
    cell: ({ sources }) => (sources === null ? 'anywhere' : sources.join(',') || 'nowhere'),
    wide: true,
  },
  { title: 'AFFINITY', cell: ({ affinitySeconds }) => durationText(affinitySeconds), wide: true },
  { title: 'BY', cell: ({ maglev }) => (maglev ? 'Maglev' : 'chance'), wide: true },
];

function natTable(answers: readonly AnswerOf<'nat'>[], form: TableForm): string {
  const backends = (frontend: NatFrontend) => backendsText(frontend, form.wide);
  return nodeTable(
    withNode(answers, ({ frontends }) => frontends),
    [...natColumns, { title: 'BACKENDS', cell: backends }],
    form,
  );
}

function frontendText({ address, family, port }: NatFrontend): string {
  return address === null ? `any of the node's IPv${family}:${port}` : socketText({ address, port });
}

const fewBackends = 3;

function backendsText({ backends, without }: NatFrontend, all: boolean): string {
  if (backends.length === 0) return `none: ${without}`;
  const shown = all ? backends : backends.slice(0, fewBackends);
  const more = backends.length - shown.length;
  return [...shown.map(backendText), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

function backendText({ endpoint, local, ...socket }: NatBackend): string {
  if (endpoint) return `${endpoint.name} ${socketText(socket)}`;
  return local ? `${socketText(socket)} (here)` : socketText(socket);
}

const routeColumns: readonly Column<InspectedRoute>[] = [
  { title: 'ADDRESSES', cell: ({ cidr }) => cidr },
  { title: 'ARE', cell: ({ flags }) => flags.join(',') || '-' },
  { title: 'ENDPOINT', cell: ({ endpoint }) => endpointText(endpoint) },
  { title: 'LINK', cell: ({ link }) => link ?? '-' },
  { title: 'BY', cell: ({ via }) => via ?? '-' },
];

function routesTable(answers: readonly AnswerOf<'routes'>[], form: TableForm): string {
  return nodeTable(
    withNode(answers, ({ routes }) => routes),
    routeColumns,
    form,
  );
}

const setColumns: readonly Column<InspectedSet>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'FAMILY', cell: ({ family }) => `IPv${family}` },
  { title: 'OF', cell: ({ of }) => (of === 'port' ? 'addresses with ports' : 'addresses') },
  { title: 'ROWS', cell: ({ rows }) => String(rows) },
  { title: 'DESCRIPTION', cell: ({ description }) => description },
];

function ipSetsTable(answers: readonly AnswerOf<'ipsets'>[], form: TableForm): string {
  return nodeTable(
    withNode(answers, ({ sets }) => sets),
    setColumns,
    form,
  );
}

const memberColumns: readonly Column<InspectedMember>[] = [
  { title: 'MEMBER', cell: ({ cidr }) => cidr },
  { title: 'PROTOCOL', cell: ({ protocol }) => (protocol === null ? 'any' : protocolName(protocol)) },
  { title: 'PORT', cell: ({ port }) => (port === null ? 'any' : String(port)) },
  { title: 'OF', cell: ({ source }) => source ?? '-' },
];

function ipSetTable(answers: readonly AnswerOf<'ipset'>[], form: TableForm): string {
  return answers
    .map((answer) => {
      const title = `${answer.node}: ${answer.set.description}, ${plural(answer.set.rows, 'row')}\n`;
      return (
        title +
        nodeTable(
          withNode([answer], ({ members }) => members),
          memberColumns,
          { ...form, several: false },
        )
      );
    })
    .join('\n');
}

function countersTable(answers: readonly AnswerOf<'counters'>[], form: TableForm): string {
  const drops = nodeTable(
    withNode(answers, (answer) => answer.drops),
    [
      { title: 'DROPPED', cell: ({ reason }) => reason },
      { title: 'PACKETS', cell: ({ packets }) => String(packets) },
      { title: 'WHY', cell: ({ advice }) => advice },
    ],
    form,
  );
  const rules = nodeTable(
    withNode(answers, (answer) => answer.rules),
    [
      { title: 'HITS', cell: ({ hits }) => String(hits) },
      { title: 'RULE', cell: ({ rule }) => rule ?? 'rules that are gone' },
    ],
    form,
  );
  const events = answers.map(
    ({ node, events: { told, lost } }) => `events on ${node}: ${told} told, ${lost} lost\n`,
  );
  return `${drops}\n${rules}\n${events.join('')}`;
}

const linkColumns: readonly Column<InspectedLink>[] = [
  { title: 'LINK', cell: ({ name, index }) => name ?? `gone (${index})` },
  { title: 'KIND', cell: ({ kind }) => kind },
  { title: 'ENDPOINT', cell: ({ endpoint }) => endpointText(endpoint) },
  { title: 'OPEN', cell: ({ open }) => (open ? 'yes' : 'no') },
  { title: 'MTU', cell: ({ mtu }) => String(mtu) },
  { title: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') || '-', wide: true },
  { title: 'PROGRAMS', cell: programsText },
];

function linksTable(answers: readonly AnswerOf<'links'>[], form: TableForm): string {
  return nodeTable(
    withNode(answers, ({ links }) => links),
    linkColumns,
    form,
  );
}

function programsText({ programs }: InspectedLink): string {
  return programs.map(({ stage, family, place }) => `${stage}/IPv${family}:${place}`).join(' ') || '-';
}

export function endpointText(endpoint: FlowEndpoint | null): string {
  return endpoint?.name ?? '-';
}

export function socketText({ address, port }: SocketName): string {
  if (port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m${seconds % 60}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
