// SPDX-License-Identifier: Apache-2.0
/** The small pools from which clusters are made by chance, and what is made of them alone: labels, selectors, nets. */

import { familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { hostCidr } from '../../src/lib/cidr.ts';
import type { Random } from './random.ts';

export interface World {
  readonly random: Random;
  /** Of pods, of the outside, and of a host. */
  readonly addresses: readonly Address[];
  readonly namespaces: readonly string[];
  readonly serviceAccounts: readonly string[];
  /** Many policies of one tier with many rules about ports, which data planes may wish to look up at once. */
  readonly isDense: boolean;
  /** What rules may name; none: no rule is about services. */
  readonly services: readonly { readonly namespace: string; readonly name: string }[];
  /** Whether policies may be about hosts. */
  readonly withHost: boolean;
}

type Labels = { readonly [key: string]: readonly string[] };

export const vocabulary = {
  pod: { app: ['a', 'b', 'ab'], env: ['x', 'y'], zone: ['a', 'x'] },
  /** `env` is a pod's label too: prefixes must keep them apart. */
  namespace: { team: ['x', 'y'], env: ['x', 'z'] },
  serviceAccount: { role: ['r', 's'] },
  /** Beside those of pods. */
  host: { face: ['in', 'out'] },
  nets: {
    4: [
      '10.65.0.0/24',
      '10.65.0.0/29',
      '10.65.0.4/30',
      '10.65.0.2/31',
      '192.0.2.0/24',
      '192.0.2.10/32',
      '198.51.100.0/25',
      '128.0.0.0/1',
      '0.0.0.0/0',
    ],
    6: [
      'fd65::/64',
      'fd65::/125',
      'fd65::4/126',
      'fd65::2/127',
      '2001:db8:1::/48',
      '2001:db8:1::10/128',
      '2001:db8::/32',
      '8000::/1',
      '::/0',
    ],
  },
} as const;

export const portNames = ['web', 'dns', 'alt'] as const;
export const portNumbers = [53, 80, 81, 443, 8080] as const;
export const portRanges = ['80:81', '1:1024', '8000:9000', '0:65535', '54:442'] as const;
/** Of sources: packets come from the lower or the upper of these. */
export const sourcePortRanges = ['20000:39999', '40000:59999'] as const;

export function labelsFor(random: Random, labels: Labels): { [key: string]: string } {
  const keys = Object.keys(labels).filter(() => random.chance(0.7));
  return Object.fromEntries(keys.map((key) => [key, random.pick(labels[key] ?? [])]));
}

const inherited: Labels = {
  'pcns.team': ['x', 'y'],
  'pcns.env': ['x', 'z'],
  'pcns.projectcalico.org/name': ['red', 'blue'],
  'pcsa.role': ['r', 's'],
  'projectcalico.org/namespace': ['red', 'green'],
  'projectcalico.org/serviceaccount': ['default', 'robot'],
  'projectcalico.org/orchestrator': ['k8s', 'openstack'],
};

export function podSelector(random: Random): string {
  return selectorOver(random, random.chance(0.75) ? vocabulary.pod : { ...vocabulary.pod, ...inherited });
}

export function hostSelector(random: Random): string {
  return selectorOver(
    random,
    random.chance(0.5) ? vocabulary.host : { ...vocabulary.pod, ...vocabulary.host },
  );
}

export function namespaceSelector(random: Random): string {
  return selectorOver(random, {
    ...vocabulary.namespace,
    'projectcalico.org/name': ['red', 'blue', 'green'],
  });
}

export function serviceAccountSelector(random: Random): string {
  return selectorOver(random, {
    ...vocabulary.serviceAccount,
    'projectcalico.org/name': ['default', 'robot'],
  });
}

function selectorOver(random: Random, labels: Labels, depth = 2): string {
  if (depth === 0 || random.chance(0.55)) return comparison(random, labels);
  if (random.chance(0.2)) return `!(${selectorOver(random, labels, depth - 1)})`;
  const operator = random.pick([' && ', ' || ', '||']);
  const operands = random.times(2, 3, () => `(${selectorOver(random, labels, depth - 1)})`);
  return operands.join(operator);
}

function comparison(random: Random, labels: Labels): string {
  const key = random.pick([...Object.keys(labels), 'nothing']);
  const values = labels[key] ?? ['v'];
  const value = random.pick(values);
  const set = random.some([...values, 'other'], 0, 3).map((item) => `'${item}'`);
  return random.pick([
    `${key} == '${value}'`,
    `${key} == "${value}"`,
    `${key} != '${value}'`,
    `has(${key})`,
    `!has(${key})`,
    `${key} in {${set.join(', ')}}`,
    `${key} not in {${set.join(', ')}}`,
    `${key} contains '${value.slice(-1)}'`,
    `${key} starts with '${value.slice(0, 1)}'`,
    `${key} ends with '${value.slice(-1)}'`,
    'all()',
  ]);
}

/** Nets of one family, single addresses among them. */
export function netsOf(world: World, family: 4 | 6, most: number, allowAll: boolean): string[] {
  const hosts = world.addresses.filter((address) => familyOf(address) === family).map(hostCidr);
  const blocks = vocabulary.nets[family].filter((net) => allowAll || !net.endsWith('/0'));
  // some of them are more likely, none stands in a list twice: lists of nets are sets
  return [...new Set(world.random.some([...blocks, ...blocks, ...hosts], 1, most))];
}
