// SPDX-License-Identifier: Apache-2.0
/** An endpoint's policy programs, each block of instructions beside the rule that it came from. */
import type { InspectedBlock, InspectedPolicy, Inspection, PolicyAnswer } from '../../contract/inspect.ts';
import { NotFoundError } from '../../lib/errors.ts';
import { sumOf } from './drop-counts.ts';
import { endpointNamed, type Inspected } from './inspected.ts';
import { ruleId } from './names.ts';
import type { WantedPolicy } from './policies.ts';
import { Row } from './row.ts';

type Question = Extract<Inspection, { kind: 'policy' }>;

/** @throws {NotFoundError} {InvalidError} */
export function policyAnswer(of: Inspected, { endpoint: text, direction, family }: Question): PolicyAnswer {
  const endpoint = endpointNamed(of, text);
  const programs = of
    .policiesOf(endpoint.id)
    .filter(({ key }) => direction === undefined || key.direction === direction)
    .filter(({ key }) => family === undefined || key.family === family)
    .map((policy) => inspectedPolicy(of, policy));
  if (programs.length > 0) return { kind: 'policy', endpoint, programs };
  throw new NotFoundError(`cannot show policy: ${endpoint.id} has none of that kind, or is down`);
}

function inspectedPolicy(of: Inspected, policy: WantedPolicy): InspectedPolicy {
  const { key, state } = policy;
  return {
    family: key.family,
    direction: key.direction,
    point: key.point,
    state: state.kind,
    reason: state.kind === 'refused' ? state.reason : null,
    place: state.kind === 'loaded' ? state.index : null,
    blocks: (of.listing(policy) ?? []).map(({ rule, instructions }) => ({
      rule,
      hits: hitsOf(of, rule),
      instructions,
    })),
  };
}

function hitsOf(of: Inspected, rule: string): InspectedBlock['hits'] {
  const id = ruleId(rule);
  const name = of.names.rule(id);
  if (name === null || name.prefix !== undefined) return null; // Log rules end nothing, and are not counted
  const map = of.map('rule_hits');
  const value = map.get(new Row(8).u64(0, id).bytes);
  return value ? sumOf(map, value) : 0;
}
