// SPDX-License-Identifier: Apache-2.0
/**
 * Calico's limits, written down a second time: schema.test.ts makes its cases from the schemas themselves, so that a wrong
 * number there would be tested as if it were right.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateResource } from './resource.ts';

type Loose = { [key: string]: unknown };

function faultPaths(kind: string, spec: Loose, name = 'default'): readonly string[] {
  const resource = { apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec };
  return validateResource(resource).faults.map((fault) => fault.path);
}

const rule = (fields: Loose): Loose => ({ ingress: [{ action: 'Allow', ...fields }] });
const source = (peer: Loose): Loose => rule({ source: peer });
const http = (fields: Loose): Loose => rule({ protocol: 'TCP', http: fields });
const icmp = (fields: Loose): Loose => rule({ protocol: 'ICMP', icmp: { type: 1, ...fields } });
const exporting = (fields: Loose): Loose => ({ exportV4: [{ action: 'Accept', ...fields }] });
const addresses = (count: number) => Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
/** A selector of that many characters. */
const selector = (length: number) => `a == '${'x'.repeat(length - 7)}'`;
const texts = (count: number, length = 1) =>
  Array.from({ length: count }, (_, i) => `${'A'.repeat(length)}${i}`);
const communities = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `c-${i}`, value: `1:${i}` }));
const prepended = (count: number) => ({
  operations: [{ prependASPath: { prefix: Array.from({ length: count }, (_, i) => i + 1) } }],
});

/** Kind, field, how the spec holds a number's worth of it, the least and the most: one less and one more are refused. */
const limits: readonly (readonly [string, string, (n: number) => Loose, number | null, number])[] = [
  ['NetworkPolicy', 'selector', (n) => ({ selector: selector(n) }), null, 1024],
  ['NetworkPolicy', 'serviceAccountSelector', (n) => ({ serviceAccountSelector: selector(n) }), null, 1024],
  ['GlobalNetworkPolicy', 'namespaceSelector', (n) => ({ namespaceSelector: selector(n) }), null, 1024],
  ['NetworkPolicy', 'ingress', (n) => ({ ingress: Array(n).fill({ action: 'Deny' }) }), null, 1024],
  ['NetworkPolicy', 'egress', (n) => ({ egress: Array(n).fill({ action: 'Deny' }) }), null, 1024],
  ['NetworkPolicy', 'ingress[0].source.selector', (n) => source({ selector: selector(n) }), null, 1024],
  ['NetworkPolicy', 'ingress[0].source.notSelector', (n) => source({ notSelector: selector(n) }), null, 1024],
  [
    'NetworkPolicy',
    'ingress[0].source.namespaceSelector',
    (n) => source({ namespaceSelector: selector(n) }),
    null,
    1024,
  ],
  ['NetworkPolicy', 'ingress[0].source.nets', (n) => source({ nets: addresses(n) }), null, 256],
  ['NetworkPolicy', 'ingress[0].source.notNets', (n) => source({ notNets: addresses(n) }), null, 256],
  [
    'NetworkPolicy',
    'ingress[0].source.ports',
    (n) => rule({ protocol: 'TCP', source: { ports: Array(n).fill(1) } }),
    null,
    50,
  ],
  [
    'NetworkPolicy',
    'ingress[0].source.notPorts',
    (n) => rule({ protocol: 'TCP', source: { notPorts: Array(n).fill(1) } }),
    null,
    50,
  ],
  ['NetworkPolicy', 'ingress[0].icmp.type', (n) => icmp({ type: n }), 0, 254],
  ['NetworkPolicy', 'ingress[0].icmp.code', (n) => icmp({ code: n }), 0, 255],
  ['NetworkPolicy', 'ingress[0].protocol', (n) => rule({ protocol: n }), 1, 255],
  ['NetworkPolicy', 'ingress[0].http.methods', (n) => http({ methods: texts(n) }), null, 20],
  [
    'NetworkPolicy',
    'ingress[0].http.paths',
    (n) => http({ paths: texts(n).map((text) => ({ exact: `/${text}` })) }),
    null,
    20,
  ],
  [
    'NetworkPolicy',
    'ingress[0].http.paths[0].exact',
    (n) => http({ paths: [{ exact: `/${'a'.repeat(n - 1)}` }] }),
    null,
    1024,
  ],
  [
    'NetworkPolicy',
    'ingress[0].http.paths[0].prefix',
    (n) => http({ paths: [{ prefix: `/${'a'.repeat(n - 1)}` }] }),
    null,
    1024,
  ],
  ['HostEndpoint', 'interfaceName', (n) => ({ node: 'n', interfaceName: 'e'.repeat(n) }), null, 15],
  ['IPPool', 'blockSize', (n) => ({ cidr: '10.0.0.0/8', blockSize: n }), 20, 32],
  ['IPPool', 'blockSize', (n) => ({ cidr: 'fd00::/64', blockSize: n }), 116, 128],
  ['IPAMConfiguration', 'ipCooldownSeconds', (n) => ({ ipCooldownSeconds: n }), 0, 1200],
  [
    'BGPConfiguration',
    'communities',
    (n) => ({
      communities: communities(n),
      prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities: ['1:1'] }],
    }),
    null,
    500,
  ],
  [
    'BGPConfiguration',
    'prefixAdvertisements',
    (n) => ({
      prefixAdvertisements: addresses(n).map((it) => ({ cidr: `${it}/32`, communities: ['1:1'] })),
    }),
    null,
    500,
  ],
  ['BGPConfiguration', 'ipv4NormalRoutePriority', (n) => ({ ipv4NormalRoutePriority: n }), 1, 2147483646],
  ['BGPConfiguration', 'ipv6NormalRoutePriority', (n) => ({ ipv6NormalRoutePriority: n }), 1, 2147483646],
  ['BGPPeer', 'ttlSecurity', (n) => ({ ttlSecurity: n }), 0, 255],
  [
    'BGPFilter',
    'exportV4[0].operations',
    (n) => exporting({ operations: Array(n).fill({ setPriority: { value: 1 } }) }),
    1,
    10,
  ],
  ['BGPFilter', 'exportV4[0].operations[0].prependASPath.prefix', (n) => exporting(prepended(n)), 1, 10],
  [
    'BGPFilter',
    'exportV4[0].communities.values',
    (n) => exporting({ communities: { values: Array(n).fill('1:1') } }),
    1,
    1,
  ],
  [
    'CalicoNodeStatus',
    'updatePeriodSeconds',
    (n) => ({ node: 'n', classes: ['BGP'], updatePeriodSeconds: n }),
    0,
    86400,
  ],
];

test('the least and the most are let through, one less and one more are refused', () => {
  for (const [kind, field, specWith, least, most] of limits) {
    const paths = (n: number) => faultPaths(kind, specWith(n));
    const refused = [`spec.${field}`];
    assert.deepEqual(paths(most), [], `${kind} ${field} ${most}`);
    assert.deepEqual(paths(most + 1), refused, `${kind} ${field} ${most + 1}`);
    if (least === null) continue;
    assert.deepEqual(paths(least), [], `${kind} ${field} ${least}`);
    assert.deepEqual(paths(least - 1), refused, `${kind} ${field} ${least - 1}`);
  }
});

test('a name is a DNS name of at most 253 characters', () => {
  const named = (name: string) => faultPaths('GlobalNetworkPolicy', {}, name);
  const long = `${`${'a'.repeat(62)}.`.repeat(4)}b`;
  assert.equal(long.length, 253);
  assert.deepEqual(named(long), []);
  for (const name of [`${long}b`, 'A', 'a_b', '-a', 'a.', 'a..b', ''])
    assert.deepEqual(named(name), ['metadata.name'], name);
});

test('global() stands alone in the namespaceSelector of a rule, and nowhere else', () => {
  const table: readonly (readonly [string, Loose, string | null])[] = [
    ['NetworkPolicy', source({ namespaceSelector: 'global()' }), null],
    ['NetworkPolicy', source({ namespaceSelector: ' global( ) ' }), null],
    ['NetworkPolicy', source({ namespaceSelector: '(global())' }), null],
    ['NetworkPolicy', source({ namespaceSelector: '!global()' }), 'ingress[0].source.namespaceSelector'],
    [
      'NetworkPolicy',
      source({ namespaceSelector: 'has(a) && global()' }),
      'ingress[0].source.namespaceSelector',
    ],
    ['NetworkPolicy', source({ selector: 'global()' }), 'ingress[0].source.selector'],
    ['NetworkPolicy', source({ notSelector: 'global()' }), 'ingress[0].source.notSelector'],
    [
      'NetworkPolicy',
      source({ serviceAccounts: { selector: 'global()' } }),
      'ingress[0].source.serviceAccounts.selector',
    ],
    ['NetworkPolicy', { selector: 'global()' }, 'selector'],
    ['NetworkPolicy', { serviceAccountSelector: 'global()' }, 'serviceAccountSelector'],
    ['GlobalNetworkPolicy', { namespaceSelector: 'global()' }, 'namespaceSelector'],
    ['StagedGlobalNetworkPolicy', { namespaceSelector: 'global()' }, 'namespaceSelector'],
  ];
  for (const [kind, spec, field] of table)
    assert.deepEqual(faultPaths(kind, spec), field === null ? [] : [`spec.${field}`], JSON.stringify(spec));
});
