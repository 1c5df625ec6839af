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
  labelled,
  np,
  pod,
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

/** What of a packet the rows of 2.2 can tell apart; every one goes from pod `a` to pod `b`. */
const packets: { readonly [name: string]: Sent & { readonly v6?: true } } = {
  tcp: {},
  tcp443: { port: 443 },
  tcpLow: { srcPort: 1000 },
  tcp6: { v6: true },
  udp: { protocol: 17 },
  sctp: { protocol: 132 },
  ping: { icmp: [8, 0] },
  ping3: { icmp: [8, 3] },
  stamp: { icmp: [13, 0] },
  ping6: { protocol: 58, icmp: [128, 0], v6: true },
  odd: { protocol: 253 },
};

function matched(rule: Json): string {
  const policy = gnp('p', toB({ ingress: [{ action: 'Allow', ...rule }] }));
  const hits = Object.entries(packets).filter(([, { v6, ...sent }]) =>
    v6 ? allowed([policy], 'fd00::1', 'fd00::2', sent) : allowed([policy], 'a', 'b', sent),
  );
  return hits.map(([name]) => name).join(' ');
}

const all = 'tcp tcp443 tcpLow tcp6 udp sctp ping ping3 stamp ping6 odd';
const allBut = (...names: readonly string[]) =>
  all
    .split(' ')
    .filter((name) => !names.includes(name))
    .join(' ');
const tcp = 'tcp tcp443 tcpLow tcp6';

const ruleRows: readonly (readonly [row: string, rule: Json, matches: string])[] = [
  ['action', {}, all],
  ['ipVersion', { ipVersion: 4 }, allBut('tcp6', 'ping6')],
  ['ipVersion', { ipVersion: 6 }, 'tcp6 ping6'],
  ['protocol', { protocol: 'TCP' }, tcp],
  ['protocol', { protocol: 'tcp' }, tcp],
  ['protocol', { protocol: 6 }, tcp],
  ['protocol', { protocol: 253 }, 'odd'],
  ['protocol', { protocol: 'ICMP' }, 'ping ping3 stamp'],
  ['protocol', { protocol: 'ICMPv6' }, 'ping6'],
  ['protocol', { protocol: 'UDPLite' }, ''],
  ['notProtocol', { notProtocol: 'udp' }, allBut('udp')],
  ['notProtocol', { notProtocol: 6, protocol: 'TCP' }, ''],
  ['icmp', { protocol: 'ICMP', icmp: {} }, 'ping ping3 stamp'],
  ['icmp', { protocol: 'ICMP', icmp: { type: 8 } }, 'ping ping3'],
  ['icmp', { protocol: 'ICMP', icmp: { type: 8, code: 0 } }, 'ping'],
  ['icmp', { protocol: 'ICMPv6', icmp: { type: 128 } }, 'ping6'],
  ['notICMP', { protocol: 'ICMP', notICMP: { type: 8 } }, 'stamp'],
  ['notICMP', { protocol: 'ICMP', notICMP: { type: 8, code: 3 } }, 'ping stamp'],
  ['notICMP', { protocol: 'ICMP', icmp: { type: 8 }, notICMP: { type: 8, code: 3 } }, 'ping'],
  ['metadata.annotations', { metadata: { annotations: { why: 'so' } } }, all],
  ['nets', { source: { nets: ['10.0.0.0/30'] } }, allBut('tcp6', 'ping6')],
  ['nets', { destination: { nets: ['fd00::2/128', 'fd00::9/128'] } }, 'tcp6 ping6'],
  ['nets', { source: { nets: [] } }, all],
  ['notNets', { source: { notNets: ['10.0.0.1/32'] } }, 'tcp6 ping6'],
  ['notNets', { source: { notNets: ['10.9.9.9/32', 'fd00::/64'] } }, allBut('tcp6', 'ping6')],
  ['selector', { source: { selector: "app == 'a'" } }, all],
  ['selector', { destination: { selector: "app == 'a'" } }, ''],
  ['selector', { source: { selector: '' } }, all],
  ['notSelector', { source: { notSelector: "app == 'a'" } }, ''],
  ['notSelector', { destination: { notSelector: "app == 'a'" } }, all],
  ['namespaceSelector', { source: { namespaceSelector: "team == 'x'" } }, all],
  ['namespaceSelector', { source: { namespaceSelector: "team == 'y'" } }, ''],
  ['services', { source: { services: { name: 's', namespace: 'red' } } }, ''],
  ['ports', { protocol: 'TCP', destination: { ports: [80] } }, 'tcp tcpLow tcp6'],
  ['ports', { protocol: 'TCP', destination: { ports: ['81:443', 9] } }, 'tcp443'],
  ['ports', { protocol: 'TCP', source: { ports: ['1:1024'] } }, 'tcpLow'],
  ['ports', { destination: { ports: ['web'] } }, 'tcp tcpLow tcp6'],
  ['ports', { protocol: 'UDP', destination: { ports: ['web'] } }, ''],
  ['ports', { protocol: 'TCP', destination: { ports: ['web', 443] } }, tcp],
  ['notPorts', { protocol: 'TCP', destination: { notPorts: [443] } }, 'tcp tcpLow tcp6'],
  ['notPorts', { destination: { notPorts: ['web'] } }, allBut('tcp', 'tcpLow', 'tcp6')],
  ['notPorts', { protocol: 'TCP', destination: { ports: ['1:1024'], notPorts: ['web'] } }, 'tcp443'],
  ['serviceAccounts', { source: { serviceAccounts: { names: ['default'] } } }, all],
  ['serviceAccounts', { source: { serviceAccounts: { selector: "role == 'other'" } } }, ''],
];

for (const [row, rules] of Map.groupBy(ruleRows, ([row]) => row)) {
  test(`oracle: 2.2 Rule: ${row}`, () => {
    for (const [, rule, matches] of rules) assert.equal(matched(rule), matches, JSON.stringify(rule));
  });
}

test('oracle: 2.10 IPv4/IPv6: a rule with nets of one family never holds in the other', () => {
  const open = (rule: Json) =>
    matched(rule)
      .split(' ')
      .filter((name) => name.endsWith('6'));
  assert.deepEqual(open({ source: { nets: ['0.0.0.0/0'] } }), []);
  assert.deepEqual(open({ source: { nets: ['::/0'] } }), ['tcp6', 'ping6']);
  assert.deepEqual(
    open({ destination: { notNets: ['0.0.0.0/1'] } }),
    ['tcp6', 'ping6'],
    'but misses it always',
  );
});

test('oracle: 2.9.6, 4.1: named ports are by protocol as much as by number', () => {
  const ports = [
    { name: 'sig', containerPort: 9, protocol: 'SCTP' },
    { name: 'sig', containerPort: 10 },
  ];
  const both = pod('red', 'd', '9', { labels: { app: 'd' }, containers: [{ ports }] });
  const policy = gnp('p', {
    selector: "app == 'd'",
    ingress: [{ ...allow, destination: { ports: ['sig'] } }],
  });
  const open = (sent: Sent) => allowed([both, policy], 'a', '10.0.0.9', sent);
  assert.ok(open({ protocol: 132, port: 9 }) && open({ port: 10 }));
  assert.ok(!open({ port: 9 }) && !open({ protocol: 132, port: 10 }) && !open({ protocol: 17, port: 9 }));
});

test('oracle: 2.9.6: named ports are of those alone that the selector chose, not of others at their address', () => {
  const around = labelled(calico('GlobalNetworkSet', 'around', { nets: ['10.0.0.0/24'] }), { set: 'yes' });
  const to = (destination: Json) =>
    allowed([around, gnp('p', toB({ ingress: [{ ...allow, destination }] }))], 'a', 'b');
  assert.ok(to({ selector: "set == 'yes'" }) && to({ selector: 'all()', ports: ['web'] }));
  assert.ok(!to({ selector: "set == 'yes'", ports: ['web'] }));
});

test('oracle: 4.1: an address of a pod in the host’s network is nobody’s', () => {
  const host = pod('red', 'd', '9', { labels: { app: 'd' }, hostNetwork: true });
  const policy = (source: Json) => gnp('p', toB({ ingress: [{ ...allow, source }] }));
  assert.ok(!allowed([host, policy({ selector: "app == 'd'" })], '10.0.0.9', 'b'));
  assert.ok(allowed([host, policy({ notSelector: "app == 'd'" })], '10.0.0.9', 'b'));
});

test('oracle: 2.2 http: what it cannot judge is an error, not an answer', () => {
  assert.throws(() => ask([gnp('p', toB({ ingress: [{ ...allow, http: {} }] }))], 'a', 'b'), /http/);
});
