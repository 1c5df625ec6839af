// SPDX-License-Identifier: Apache-2.0
/** `muslin flows` without `--follow`: the records that agents remember, as tables or as objects. */
import { UsageError } from '../lib/errors.ts';
import { manifestText } from '../model/manifest/print.ts';
import { FlowLog, type FlowWindow } from '../observe/flow-log.ts';
import type { RememberedFlows } from '../observe/flow-memory.ts';
import { askAll, type FromNode } from './agent-inspection.ts';
import type { AgentOptions } from './agent-options.ts';
import { parseDurationMs } from './duration.ts';
import { nodeTable, withNode } from './ebpf-tables.ts';
import { countColumns, type FlowFilter, flowColumns, flowFilter } from './flow-view.ts';
import type { Io } from './io.ts';
import { jsonText } from './plain-output.ts';

export interface FlowOptions extends FlowFilter, AgentOptions {
  readonly follow?: boolean;
  readonly per?: string;
  readonly limit?: string;
}

export interface FlowQuestion {
  readonly wanted: ReturnType<typeof flowFilter>;
  /** Null: each record for itself. */
  readonly perMs: number | null;
  readonly limit: number;
  readonly output: string | undefined;
}

const usualLimit = 1000;
const leastWindowMs = 100;
/** Keys of one window; more are counted together, and that is said. */
export const mostRows = 10_000;

/** @throws {UsageError} {InvalidError} */
export function flowQuestion(options: FlowOptions): FlowQuestion {
  const { per, limit, output, follow = false } = options;
  if (follow && output === 'yaml')
    throw new UsageError('-o: got yaml with --follow, want json, which is one object a line');
  if (follow && limit !== undefined) throw new UsageError('--limit: got --follow too, want one of them');
  const perMs = per === undefined ? null : windowMs(per);
  const usual = perMs === null ? usualLimit : Number.POSITIVE_INFINITY;
  return { wanted: flowFilter(options), perMs, limit: limit === undefined ? usual : limitOf(limit), output };
}

function windowMs(text: string): number {
  const ms = parseDurationMs(text, '--per');
  if (ms >= leastWindowMs) return ms;
  throw new UsageError(`--per: got ${text}, want ${leastWindowMs}ms or more`);
}

function limitOf(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new UsageError(`--limit: got ${JSON.stringify(text)}, want 1 to 9999999`);
}

type Some = FromNode<RememberedFlows> & { readonly leftOut: number };

export async function printFlows(sockets: readonly string[], question: FlowQuestion, io: Io): Promise<void> {
  const { answers, wantAll } = await askAll<RememberedFlows>(sockets, '/flows', {}, io);
  const some = answers.map((answer) => lastOf(answer, question));
  io.out(question.perMs === null ? recordsText(some, question) : countsText(some, question.perMs, question));
  if (!isForPrograms(question)) for (const each of some) noteMissing(each, io);
  wantAll();
}

function lastOf(answer: FromNode<RememberedFlows>, { wanted, limit }: FlowQuestion): Some {
  const flows = answer.flows.filter(wanted);
  const leftOut = Math.max(0, flows.length - limit);
  return { ...answer, flows: flows.slice(leftOut), leftOut };
}

function isForPrograms({ output }: FlowQuestion): boolean {
  return output === 'json' || output === 'yaml';
}

function noteMissing({ node, forgotten, lost, leftOut }: Some, io: Io): void {
  if (leftOut > 0) io.note(`note: ${node}: ${leftOut} older flows not shown; want them with --limit`);
  if (forgotten > 0) io.note(`note: ${node}: ${forgotten} older flows forgotten`);
  if (lost > 0) io.note(`note: ${node}: ${lostText(lost)}`);
}

export function lostText(lost: number): string {
  return `${lost} packets were decided but could not be told`;
}

function recordsText(answers: readonly Some[], { output }: FlowQuestion): string {
  if (output === 'json') return jsonText(answers);
  if (output === 'yaml') return manifestText(answers);
  const flows = withNode(answers, (answer) => answer.flows).toSorted((a, b) => a.timeMs - b.timeMs);
  return nodeTable(flows, flowColumns, { wide: output === 'wide', several: answers.length > 1 });
}

function countsText(answers: readonly Some[], perMs: number, { output }: FlowQuestion): string {
  const counted = answers.map(({ flows, ...answer }) => ({ ...answer, windows: windowsOf(flows, perMs) }));
  if (output === 'json') return jsonText(counted);
  if (output === 'yaml') return manifestText(counted);
  const windows = withNode(counted, (answer) => answer.windows).toSorted((a, b) => a.fromMs - b.fromMs);
  if (windows.length === 0) return 'none\n';
  return windows.map((window) => windowText(window, output === 'wide')).join('\n');
}

function windowsOf(flows: Some['flows'], perMs: number): readonly FlowWindow[] {
  const log = new FlowLog({ windowMs: perMs, mostRows });
  for (const flow of flows) log.add(flow);
  return log.close();
}

export function windowText(window: FromNode<FlowWindow>, wide: boolean): string {
  const more = window.uncounted > 0 ? `, and ${window.uncounted} records of further keys` : '';
  const span = `${new Date(window.fromMs).toISOString()} to ${new Date(window.toMs).toISOString()}`;
  const rows = withNode([window], ({ rows }) => rows);
  return `${window.node}, ${span}${more}\n${nodeTable(rows, countColumns, { wide, several: false })}`;
}
