// SPDX-License-Identifier: Apache-2.0
/** How the nodes of a lab are, for people: a line each, and below what is wrong. */
import { newestPart } from '../contract/revision.ts';
import type { NodeStatus } from '../lab/control.ts';
import type { Revision } from '../lib/brand.ts';
import { tableText } from './table.ts';

export function statusText(rows: readonly NodeStatus[]): string {
  const header = ['NODE', 'READY', 'DATAPLANE', 'DATASTORE', 'REVISION', 'PODS', 'PID', 'ADDRESSES'];
  const lines = rows.map(({ node, addresses, agent }) => [
    node,
    agent?.ready ? 'yes' : 'no',
    agent?.dataplane ?? '-',
    agent?.datastore ?? '-',
    agent ? newestPart(agent.enforcedRevision as Revision) : '-',
    String(agent?.openEndpoints.length ?? '-'),
    String(agent?.pid ?? '-'),
    addresses.join(','),
  ]);
  const problems = rows.flatMap(problemsOf);
  return [tableText([header, ...lines]), ...problems.map((problem) => `${problem}\n`)].join('');
}

function problemsOf({ node, agent, reason }: NodeStatus): readonly string[] {
  if (!agent) return [`${node}: the agent does not answer: ${reason}`];
  const invalid = agent.invalid.flatMap(({ resource, faults }) =>
    faults.map((fault) => `${node}: ${resource} is not in force as written: ${fault.path}: ${fault.message}`),
  );
  return [...agent.reasons.map((text) => `${node}: ${text}`), ...invalid];
}
