// SPDX-License-Identifier: Apache-2.0
/** What agents report of themselves: asked over their sockets, told for people. */
import type { StatusReport } from '../agent/status.ts';
import { newestPart } from '../contract/revision.ts';
import { ask } from '../lab/control.ts';
import type { Revision } from '../lib/brand.ts';
import { NotFoundError, UnavailableError } from '../lib/errors.ts';
import type { Setting } from '../model/felix/settings.ts';
import type { Io } from './io.ts';
import { findLab } from './place.ts';
import { tableText } from './table.ts';

const usualSocket = '/run/muslin/agent.sock';

/** Of the lab's nodes where there is a lab, else the one of this host. @throws {NotFoundError} for a node that the lab lacks. */
export function agentSockets(
  options: { readonly socket?: string; readonly node?: string; readonly lab?: string },
  io: Io,
): readonly string[] {
  if (options.socket !== undefined) return [options.socket];
  const lab = labOrNull(options, io);
  if (!lab) return [usualSocket];
  const nodes = lab.spec.nodes.filter(({ name }) => options.node === undefined || name === options.node);
  if (nodes.length === 0) throw new NotFoundError(`the lab has no node ${options.node}`);
  return nodes.map(({ name }) => lab.layout.agentSocket(name));
}

function labOrNull(options: { readonly lab?: string; readonly node?: string }, io: Io) {
  try {
    return findLab(options, io);
  } catch (error) {
    if (!(error instanceof NotFoundError) || options.lab !== undefined || options.node !== undefined)
      throw error;
    return null;
  }
}

/** @throws {UnavailableError} when one does not answer. */
export async function agentReports(sockets: readonly string[]): Promise<readonly StatusReport[]> {
  return Promise.all(
    sockets.map(async (socket) => {
      const { status, body } = await ask(socket, '/status');
      if (status !== 200) throw new UnavailableError(`agent at ${socket} answered ${status}`);
      return body as StatusReport;
    }),
  );
}

export function agentText(report: StatusReport): string {
  const { node, dataplane, enforcedRevision, openEndpoints, invalid, settings } = report;
  const state = report.ready ? 'ready' : `not ready: ${report.reasons.join('; ')}`;
  const faults = invalid.flatMap(({ resource, faults }) =>
    faults.map(({ path, message }) => `  ${resource} ${path}: ${message}`),
  );
  return [
    `${node}: ${state}`,
    `  ${dataplane}, revision ${newestPart(enforcedRevision as Revision)} in force, ${openEndpoints.length} endpoints open`,
    ...(faults.length > 0 ? ['not in force as written:', ...faults] : []),
    ...(settings.length > 0
      ? ['settings:', settingsText(settings).trimEnd()]
      : ['settings: all at their defaults']),
    '',
  ].join('\n');
}

const effects = {
  'at once': 'in force',
  'at once with eBPF': 'in force with eBPF',
  'when the agent starts': 'in force since the agent started',
  'none yet': 'accepted, no effect yet',
};

function settingsText(settings: readonly Setting[]): string {
  const rows = settings.map(({ name, value, source, effect, fault }) => [
    `  ${name}`,
    JSON.stringify(value),
    source,
    fault === undefined
      ? effectText(effect, source)
      : `${value === null ? 'not taken' : 'the default holds'}: ${fault}`,
  ]);
  return tableText([['  NAME', 'VALUE', 'FROM', 'EFFECT'], ...rows]);
}

/** What holds from the start on was taken from file and environment alone. */
function effectText(effect: Setting['effect'], source: Setting['source']): string {
  const isStored = source !== 'file' && source !== 'environment';
  if (effect === 'when the agent starts' && isStored)
    return 'accepted, no effect yet: only file and environment are heard';
  return effects[effect];
}
