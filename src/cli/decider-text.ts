// SPDX-License-Identifier: Apache-2.0
/** Who decided, in few words: `NetworkPolicy/shop/db rule 1 (shop.yaml:24)`. */
import { assertNever } from '../lib/errors.ts';
import type { DecidedBy, Decider } from '../observe/decider.ts';

/** Of everyone who had a say in the verdict; `nobody` where no policy looks. */
export function decidersText(deciders: readonly Decider[]): string {
  const texts = [...new Set(deciders.map(({ by }) => decidedByText(by)))];
  return texts.length === 0 ? 'nobody: no policy looks at it' : texts.join(' and ');
}

export function decidedByText(by: DecidedBy): string {
  switch (by.at) {
    case 'rule':
      return `${by.policy} rule ${by.rule}${originText(by.origin)}`;
    case 'end-of-tier':
      return `the end of tier ${by.tier}, after ${policiesText(by.policies)}`;
    case 'profile-rule':
      return `profile ${by.profile} rule ${by.rule}${originText(by.origin)}`;
    case 'missing-profile':
      return `profile ${by.profile}, which does not exist`;
    case 'end':
      return 'the end of its profiles';
    case 'failsafe':
      return `an ${by.list} failsafe port`;
    case 'gate':
      return gateReasonText(by.reason);
    default:
      return assertNever(by);
  }
}

/** Policies of a list that are named. */
const shownPolicies = 2;

function policiesText(policies: readonly string[]): string {
  const rest = policies.length - shownPolicies;
  if (rest <= 1) return policies.join(', ');
  return `${policies.slice(0, shownPolicies).join(', ')} and ${rest} more`;
}

export function originText(origin: { readonly file: string; readonly line: number } | undefined): string {
  return origin ? ` (${origin.file}:${origin.line})` : '';
}

const gateReasons: { readonly [R in Extract<DecidedBy, { at: 'gate' }>['reason']]: string } = {
  'admin-down': 'the endpoint, which is down',
  'foreign-source': 'the endpoint, as the source is not one of its addresses',
  encapsulated: 'the node, which takes no encapsulated packets from workloads',
  'router-message': 'the node, which takes no router messages from workloads',
  'host-to-workload': 'the node, which always reaches its own workloads',
  'neighbour-discovery': 'the node, as its link depends on neighbour discovery',
  'endpoint-to-host': "the node's setting defaultEndpointToHostAction",
};

export function gateReasonText(reason: keyof typeof gateReasons): string {
  return gateReasons[reason];
}
