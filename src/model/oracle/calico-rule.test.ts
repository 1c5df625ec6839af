// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allow,
  allowed,
  ask,
  calico,
  gnp,
  type Json,
  np,
  type Sent,
  toB,
} from '../../../test/support/oracle-cluster.ts';

test('oracle: 2.9.7: nets, notNets and selectors of one side must all hold; nets are alternatives', () => {
  const from = (source: Json, sender: string) =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', source }] }))], sender, 'b');
  const nets = ['10.0.0.1/32', '192.0.2.0/24'];
  assert.deepEqual(
    ['a', 'c', 'out'].filter((it) => from({ nets }, it)),
    ['a', 'out'],
  );
  assert.deepEqual(
    ['a', 'c', 'out'].filter((it) => from({ notNets: nets }, it)),
    ['c'],
  );
  assert.deepEqual(
    ['a', 'c', 'out'].filter((it) => from({ nets, selector: 'has(app)' }, it)),
    ['a'],
  );
  assert.deepEqual(
    ['a', 'c', 'out'].filter((it) => from({ nets: ['10.0.0.0/24'], notNets: ['10.0.0.1/32'] }, it)),
    ['c'],
  );
  assert.ok(!from({ nets: ['0.0.0.0/0'] }, 'fd00::1'), 'a net of one family never holds in the other');
});

test('oracle: 2.9.4: notSelector alone also passes addresses of nobody; folded into a selector it does not', () => {
  const from = (source: Json, sender: string) =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', source }] }))], sender, 'b');
  const senders = ['a', 'c', 'out'];
  assert.deepEqual(
    senders.filter((it) => from({ notSelector: "app == 'a'" }, it)),
    ['c', 'out'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ selector: 'all()', notSelector: "app == 'a'" }, it)),
    ['c'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ namespaceSelector: 'all()', notSelector: "app == 'c'" }, it)),
    ['a'],
  );
  const home = np('red', 'p', {
    selector: "app == 'b'",
    ingress: [{ action: 'Allow', source: { notSelector: "app == 'x'" } }],
  });
  assert.deepEqual(
    senders.filter((it) => allowed([home], it, 'b')),
    ['a'],
    'a namespaced rule stays at home',
  );
});

test('oracle: 2.9.4: an address in several sets: one owner must satisfy the folded pair, none the bare notSelector', () => {
  const set = (name: string, labels: { [key: string]: string }) => ({
    ...calico('GlobalNetworkSet', name, { nets: ['192.0.2.0/24'] }),
    metadata: { name, labels },
  });
  const sets = [set('good', { kind: 'good' }), set('bad', { kind: 'bad' })];
  const from = (source: Json) =>
    allowed([...sets, gnp('p', toB({ ingress: [{ action: 'Allow', source }] }))], 'out', 'b');
  assert.ok(from({ selector: 'has(kind)', notSelector: "kind == 'bad'" }));
  assert.ok(!from({ notSelector: "kind == 'bad'" }));
});

test('oracle: 2.9.2: namespaced rules: selectors and service accounts stay at home, nets do not', () => {
  const from = (source: Json, sender: string) =>
    allowed(
      [np('red', 'p', { selector: "app == 'b'", ingress: [{ action: 'Allow', source }] })],
      sender,
      'b',
    );
  const senders = ['a', 'c', 'out'];
  assert.deepEqual(
    senders.filter((it) => from({ selector: 'has(app)' }, it)),
    ['a'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ serviceAccounts: { names: ['default'] } }, it)),
    ['a'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ namespaceSelector: "team == 'y'" }, it)),
    ['c'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ namespaceSelector: 'all()', selector: "app != 'a'" }, it)),
    ['c'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ nets: ['10.0.0.3/32', '192.0.2.1/32'] }, it)),
    ['c', 'out'],
  );
  assert.deepEqual(
    senders.filter((it) => from({}, it)),
    senders,
  );
});

test('oracle: 2.9.3: service accounts by name and selector, in global policies in every namespace', () => {
  const from = (source: Json, sender: string) =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', source }] }))], sender, 'b');
  const senders = ['a', 'c', 'out'];
  assert.deepEqual(
    senders.filter((it) => from({ serviceAccounts: { names: ['default'] } }, it)),
    ['a', 'c'],
  );
  assert.deepEqual(
    senders.filter((it) =>
      from({ serviceAccounts: { names: ['default'], selector: "role == 'other'" } }, it),
    ),
    ['c'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ serviceAccounts: { names: ['nobody'] } }, it)),
    [],
  );
});

test('oracle: 2.9.1: all() and global() in a rule’s namespaceSelector: network sets with and without a namespace', () => {
  const sets = [
    calico('GlobalNetworkSet', 'world', { nets: ['192.0.2.1/32'] }),
    calico('NetworkSet', 'local', { nets: ['198.51.100.0/24'] }, 'blue'),
  ];
  const from = (source: Json, sender: string) =>
    allowed([...sets, gnp('p', toB({ ingress: [{ action: 'Allow', source }] }))], sender, 'b');
  const senders = ['a', 'out', '198.51.100.7', '203.0.113.1'];
  assert.deepEqual(
    senders.filter((it) => from({ namespaceSelector: 'all()' }, it)),
    ['a', '198.51.100.7'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ namespaceSelector: 'global()' }, it)),
    ['out'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ namespaceSelector: "team == 'y'" }, it)),
    ['198.51.100.7'],
  );
  assert.deepEqual(
    senders.filter((it) => from({ selector: 'all()' }, it)),
    ['a', 'out', '198.51.100.7'],
  );
});

test('oracle: 2.9.6: ports: numbers, ranges and names are alternatives; notPorts must all miss', () => {
  const to = (destination: Json, sent: Sent, protocol: unknown = 'TCP') =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', protocol, destination }] }))], 'a', 'b', sent);
  const ports = (destination: Json) => [79, 80, 81, 8080].filter((port) => to(destination, { port }));
  assert.deepEqual(ports({ ports: ['web', '81:100'] }), [80, 81]);
  assert.deepEqual(ports({ ports: [79, 'dns'] }), [79], 'dns is a UDP port');
  assert.deepEqual(ports({ notPorts: ['web', 8080] }), [79, 81]);
  assert.deepEqual(ports({ ports: ['1:100'], notPorts: [79] }), [80, 81]);
  assert.deepEqual(
    ports({ selector: "app == 'a'", ports: ['web'] }),
    [],
    'only of those that the selector chose',
  );
  const source = { action: 'Allow', protocol: 'TCP', source: { ports: ['40000:50000'] } };
  assert.ok(allowed([gnp('p', toB({ ingress: [source] }))], 'a', 'b', { srcPort: 40000 }));
  assert.ok(!allowed([gnp('p', toB({ ingress: [source] }))], 'a', 'b', { srcPort: 39999 }));
});

test('oracle: 2.2 Rule checks: named ports may stand without protocol: a packet without ports has none of them', () => {
  const to = (destination: Json, sent: Sent) =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', destination }] }))], 'a', 'b', sent);
  assert.ok(to({ ports: ['dns'] }, { protocol: 17, port: 53 }));
  assert.ok(!to({ ports: ['dns'] }, { protocol: 6, port: 53 }));
  assert.ok(!to({ ports: ['dns'] }, { icmp: [8, 0] }));
  assert.ok(to({ notPorts: ['dns'] }, { icmp: [8, 0] }));
  assert.ok(to({ notPorts: ['dns'] }, { protocol: 253 }));
});

test('oracle: 2.2 Rule: protocols by name and number, notProtocol, ICMP type and code, ipVersion', () => {
  const rule = (fields: Json, sent: Sent, from = 'a', to = 'b') =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', ...fields }] }))], from, to, sent);
  assert.ok(rule({ protocol: 'udp' }, { protocol: 17 }));
  assert.ok(rule({ protocol: 253 }, { protocol: 253 }) && !rule({ protocol: 253 }, { protocol: 254 }));
  assert.ok(!rule({ notProtocol: 'TCP' }, {}) && rule({ notProtocol: 6 }, { protocol: 17 }));
  assert.ok(rule({ protocol: 'ICMP', icmp: { type: 8 } }, { icmp: [8, 3] }));
  assert.ok(!rule({ protocol: 'ICMP', icmp: { type: 8, code: 0 } }, { icmp: [8, 3] }));
  assert.ok(!rule({ protocol: 'ICMP', notICMP: { type: 8, code: 3 } }, { icmp: [8, 3] }));
  assert.ok(rule({ protocol: 'ICMP', notICMP: { type: 8, code: 3 } }, { icmp: [8, 0] }));
  assert.ok(!rule({ protocol: 'ICMP' }, { protocol: 58, icmp: [128, 0] }, 'fd00::1', 'fd00::2'));
  assert.ok(rule({ ipVersion: 6 }, {}, 'fd00::1', 'fd00::2') && !rule({ ipVersion: 6 }, {}));
});

test('oracle: 2.2 http: what it cannot judge is an error, not an answer', () => {
  assert.throws(() => ask([gnp('p', toB({ ingress: [{ ...allow, http: {} }] }))], 'a', 'b'), /http/);
});
