// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compiledNode, compileFor } from './compile.ts';
import { buildGraph } from './graph.ts';
import { endpoint, node, policy, profile, rule } from './states/build.ts';

const updates = [
  endpoint('a/x', ['10.0.0.1'], { profiles: ['open'] }),
  endpoint('a/y', ['10.0.0.2'], { node: 'far' }),
  node('far', '192.0.2.2'),
  profile('open', {}, { egress: [rule('allow')] }),
  policy('p', { ingress: [rule('allow', { from: { selector: 'all()' } })] }),
];

test('a compiled node holds everything by its id', () => {
  const messages = compileFor('local', updates);
  assert.equal(messages.at(-1)?.kind, 'in-sync');
  const { ipSets, policies, profiles, endpoints, routes, vteps } = compiledNode(messages);
  const set = { type: 'net', members: ['10.0.0.1/32', '10.0.0.2/32'], description: 'all()' };
  assert.deepEqual(Object.values(ipSets), [set]);
  assert.deepEqual(policies['GlobalNetworkPolicy/p']?.ingress[0]?.src.sets, Object.keys(ipSets));
  assert.deepEqual(Object.keys(profiles), ['open']);
  assert.deepEqual(
    endpoints['WorkloadEndpoint/a/x']?.tiers.map(({ ingress }) => ingress),
    [['GlobalNetworkPolicy/p']],
  );
  assert.deepEqual(routes, { '10.0.0.2/32': { type: 'remote-workload', node: 'far', via: '192.0.2.2' } });
  assert.deepEqual(vteps, []);
});

test('IP set ids are those of Calico', () => {
  // sha224('s:all()') and the id of a port named http on it, as libcalico-go's hash.MakeUniqueID makes them.
  const named = policy('p', {
    ingress: [rule('allow', { protocol: 6, to: { selector: 'all()', namedPorts: ['http'] } })],
  });
  const { ipSets } = compiledNode(compileFor('local', [endpoint('a/x', ['10.0.0.1']), named]));
  assert.deepEqual(Object.keys(ipSets), [
    'n:cl9_Kgeu4H0OGLbhovVR3NBLUOZscKeMK1Mu4A',
    's:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug',
  ]);
});

test('messages of a later flush are not a whole node', () => {
  const graph = buildGraph({ node: 'local' });
  graph.onStatus('in-sync');
  graph.onUpdates(updates);
  graph.flush(() => {});
  graph.onUpdates(updates.map((it) => ({ ...it, value: null })));
  assert.throws(() => graph.flush((message) => compiledNode([message])), RangeError);
});
