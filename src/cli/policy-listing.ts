// SPDX-License-Identifier: Apache-2.0
/** Policy programs for people: each block of instructions beside the rule that it came from. */
import type { InspectedBlock, InspectedPolicy } from '../contract/inspect.ts';
import type { AnswerOf } from './agent-inspection.ts';
import { printable } from './exit.ts';
import { plural } from './plural.ts';

export function policyListing(answers: readonly AnswerOf<'policy'>[]): string {
  return answers
    .flatMap(({ node, endpoint, programs }) =>
      programs.map((program) => `${titleOf(program)} of ${endpoint.name} on ${node}\n${linesOf(program)}`),
    )
    .join('\n');
}

const points: { readonly [P in InspectedPolicy['point']]: string } = {
  workload: '',
  normal: "host's own ",
  untracked: 'untracked ',
  'pre-dnat': 'pre-DNAT ',
  forward: 'forwarded ',
};

function titleOf({ point, direction, family, state, place }: InspectedPolicy): string {
  const where = place === null ? state : `${state} at place ${place}`;
  return `${points[point]}${direction}, IPv${family}, ${where},`;
}

function linesOf({ reason, blocks }: InspectedPolicy): string {
  const why = reason === null ? '' : `  refused: ${printable(reason.replaceAll('\n', ' | '))}\n`;
  return why + blocks.map(blockText).join('');
}

function blockText({ rule, hits, instructions }: InspectedBlock): string {
  const times = hits === null ? '' : `   (${plural(hits, 'hit')})`;
  const title = rule === '' ? '  (no rule in particular)' : `  ${printable(rule)}${times}`;
  return `${title}\n${instructions.map((line) => `      ${line}\n`).join('')}`;
}
