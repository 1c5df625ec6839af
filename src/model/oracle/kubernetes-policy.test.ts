// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowed, calico, type Json, knp, type Sent } from '../../../test/support/oracle-cluster.ts';

test('oracle: 2.10 Kubernetes NetworkPolicy: an empty rule allows all, no rule none; peers and ports', () => {
  const to = (spec: Json, from: string, sent: Sent = {}) =>
    allowed([knp('red', 'p', { podSelector: { matchLabels: { app: 'b' } }, ...spec })], from, 'b', sent);
  const senders = ['a', 'c', 'out'];
  const through = (peer: Json) => senders.filter((it) => to({ ingress: [{ from: [peer] }] }, it));
  assert.deepEqual(
    senders.filter((it) => to({}, it)),
    [],
  );
  assert.deepEqual(
    senders.filter((it) => to({ ingress: [{}] }, it)),
    senders,
  );
  assert.deepEqual(
    senders.filter((it) => to({ ingress: [{ from: [], ports: [] }] }, it)),
    senders,
  );
  assert.deepEqual(through({ podSelector: {} }), ['a']);
  assert.deepEqual(through({ namespaceSelector: {} }), ['a', 'c'], 'of every namespace, but pods alone');
  assert.deepEqual(through({ namespaceSelector: { matchLabels: { team: 'y' } } }), ['c']);
  assert.deepEqual(
    through({
      namespaceSelector: {},
      podSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['a'] }] },
    }),
    ['c'],
  );
  assert.deepEqual(
    through({ podSelector: { matchExpressions: [{ key: 'nothing', operator: 'DoesNotExist' }] } }),
    ['a'],
  );
  assert.deepEqual(through({ ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.3/32'] } }), ['a', 'out']);
  const ports = (port: Json, sent: Sent) => to({ ingress: [{ ports: [port] }] }, 'out', sent);
  assert.ok(ports({ port: 80 }, {}) && !ports({ port: 80 }, { protocol: 17 }));
  assert.ok(ports({ port: 70, endPort: 90 }, {}) && !ports({ port: 70, endPort: 79 }, {}));
  assert.ok(
    ports({ port: 'web' }, {}) && ports({ port: 'dns', protocol: 'UDP' }, { protocol: 17, port: 53 }),
  );
  const atA = knp('red', 'p', { podSelector: {}, ingress: [{ ports: [{ port: 'web' }] }] });
  assert.ok(allowed([atA], 'a', 'b') && !allowed([atA], 'b', 'a'), 'what the receiver calls so');
  assert.ok(!ports({ port: 'dns' }, { port: 53 }), 'the protocol is TCP where none is written');
  assert.ok(ports({ protocol: 'SCTP' }, { protocol: 132 }) && !ports({}, { icmp: [8, 0] }));
});

test('oracle: 2.10 Kubernetes NetworkPolicy: network sets are no pods; any egress rule governs both directions', () => {
  const sets = [calico('NetworkSet', 'local', { nets: ['192.0.2.0/24'] }, 'red')];
  const peers = { podSelector: {}, ingress: [{ from: [{ podSelector: {} }, { namespaceSelector: {} }] }] };
  assert.ok(!allowed([...sets, knp('red', 'p', peers)], 'out', 'b'));
  const egress = knp('red', 'p', { podSelector: {}, egress: [{ to: [{ podSelector: {} }] }] });
  assert.ok(!allowed([egress], 'out', 'b'));
  assert.ok(!allowed([egress], 'a', 'c'));
  const only = knp('red', 'p', { podSelector: {}, policyTypes: ['Egress'] });
  assert.ok(allowed([only], 'out', 'b') && !allowed([only], 'b', 'out'));
});
