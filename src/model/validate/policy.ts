// SPDX-License-Identifier: Apache-2.0
/** What must hold of a policy as a whole: its tier's label, what is left of one that is staged for deletion. */
import { cidrContains, tryParseCidr } from '../../lib/cidr.ts';
import { isObject, listAt, member, textAt, textMapAt } from '../json.ts';
import { type Check, shown } from './check.ts';

/** Label of policies that repeats their tier, for selection by label. */
export const tierLabel = 'projectcalico.org/tier';

/** The label that repeats the tier may be left out, but not contradict it. */
export const tierLabelAgrees: Check = (value, _, report) => {
  const label = textMapAt(value, 'metadata', 'labels').get(tierLabel);
  const tier = textAt(value, 'spec', 'tier') || 'default';
  if (label !== undefined && label !== tier) {
    report(
      `metadata.labels.${tierLabel}`,
      `got ${shown(label)}, want ${shown(tier)}, the tier of the spec, or nothing`,
    );
  }
};

const keptByDelete = ['stagedAction', 'tier'];

/** Delete names a policy to take away; what else it says would mean nothing. */
export const deleteIsEmpty: Check = (value, _, report) => {
  const spec = member(value, 'spec');
  if (textAt(spec, 'stagedAction') !== 'Delete' || !isObject(spec)) return;
  for (const [field, written] of Object.entries(spec)) {
    if (!keptByDelete.includes(field) && isUsed(written))
      report(`spec.${field}`, `got ${shown(written)}, want nothing with stagedAction Delete`);
  }
};

function isUsed(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== '' && value !== false;
}

/** Of networking.k8s.io/v1 rules: what an ipBlock leaves out is part of it. */
export const exceptWithinBlock: Check = (value, _, report) => {
  for (const [direction, peers] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const) {
    for (const [i, rule] of listAt(value, 'spec', direction).entries())
      for (const [j, peer] of listAt(rule, peers).entries())
        checkExcept(member(peer, 'ipBlock'), `spec.${direction}[${i}].${peers}[${j}].ipBlock`, report);
  }
};

const checkExcept: Check = (block, path, report) => {
  const cidr = tryParseCidr(textAt(block, 'cidr'));
  for (const [i, item] of listAt(block, 'except').entries()) {
    const except = typeof item === 'string' ? tryParseCidr(item) : null;
    if (!cidr || !except || (cidrContains(cidr, except) && cidr !== except)) continue;
    report(`${path}.except[${i}]`, `got ${shown(item)}, want a part of ${cidr}`);
  }
};
