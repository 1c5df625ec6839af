// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allow,
  askHost,
  calico,
  deny,
  gnp,
  hep,
  hostWith,
  type Json,
  np,
  pod,
  type Sent,
  tier,
  told,
  toldHost,
} from '../../../test/support/oracle-cluster.ts';
import { parseCidr } from '../../lib/cidr.ts';
import type { Resource } from '../types.ts';
import type { Judgement } from './oracle.ts';

const atHosts = (spec: Json): Json => ({ selector: "host == 'yes'", types: ['Ingress', 'Egress'], ...spec });
const forward = { applyOnForward: true };
const untracked = { doNotTrack: true, applyOnForward: true };
const preDnat = { preDNAT: true, applyOnForward: true, types: ['Ingress'] };
const defaultAllow = { profiles: ['projectcalico-default-allow'] };
const eth0 = hep('eth0', { interfaceName: 'eth0', ...defaultAllow });
const closed = hep('eth0', { interfaceName: 'eth0' });

/** Every way a packet can go by a host, from and to. */
const ways: readonly (readonly [string, string])[] = [
  ['out', 'h'],
  ['out', 'b'],
  ['out', '192.0.2.9'],
  ['h', 'out'],
  ['h', 'b'],
  ['h', 'h1'],
  ['a', 'out'],
  ['a', 'b'],
  ['a', 'h'],
];

function waysOpen(resources: readonly Resource[], sent: Sent = {}, host = hostWith()): string[] {
  return ways
    .filter(([from, to]) => askHost(resources, from, to, sent, host).allowed)
    .map(([from, to]) => `${from} ${to}`);
}

/** All but a pod's to its host. */
const usual = ways.map((way) => way.join(' ')).filter((way) => way !== 'a h');

test('oracle: without host endpoints nothing that is not a pod’s is policed', () => {
  assert.deepEqual(waysOpen([]), usual);
  assert.deepEqual(toldHost(askHost([], 'out', 'h')), []);
});

test('oracle: 2.10 Host endpoint without any matching policy: all but failsafes dropped, forwarded traffic is not', () => {
  const open = usual.filter((way) => way !== 'out h' && way !== 'h out');
  assert.deepEqual(waysOpen([closed]), open);
  assert.deepEqual(waysOpen([closed], { port: 22 }), ['out h', ...open]);
  const judgement = askHost([closed], 'out', 'h');
  assert.deepEqual(toldHost(judgement), [
    'eth0 untracked ingress: continue',
    'eth0 pre-dnat ingress: continue',
    'eth0 normal ingress: deny',
  ]);
  assert.deepEqual(judgement.host.flatMap(told), ['end of profiles']);
  assert.deepEqual(waysOpen([eth0]), usual, 'automatic ones carry a profile that allows');
  assert.deepEqual(told(askHost([eth0], 'h', 'out').host[1]), ['projectcalico-default-allow[0] allow']);
});

test('oracle: 2.10 Host endpoint, normal: tiers, then profiles, for what ends or starts at the host alone', () => {
  const policy = gnp('p', atHosts({ ingress: [{ ...deny, protocol: 'UDP' }, { action: 'Pass' }] }));
  assert.deepEqual(
    waysOpen([eth0, policy], { protocol: 17 }),
    usual.filter((way) => way !== 'out h' && way !== 'h out'),
  );
  assert.deepEqual(told(askHost([eth0, policy], 'out', 'h').host[2]), [
    'default/GlobalNetworkPolicy/p[1] pass',
    'projectcalico-default-allow[0] allow',
  ]);
  const accounts = gnp('p', { serviceAccountSelector: 'all()' });
  const spaces = gnp('q', { namespaceSelector: 'all()' });
  const inNamespace = np('red', 'r', {});
  assert.deepEqual(
    waysOpen([eth0, accounts, spaces, inNamespace]).slice(0, 1),
    ['out h'],
    'a host is in none',
  );
});

test('oracle: 2.10 Host endpoint, normal: failsafe ports come first, in their direction, from their net', () => {
  const host = hostWith({
    failsafeInbound: [{ protocol: 6, port: 22, net: parseCidr('192.0.2.0/31') }],
    failsafeOutbound: [{ protocol: 17, port: 53 }],
  });
  const barred = [closed, gnp('p', atHosts({ ...untracked, ingress: [deny], egress: [deny] }))];
  const open = (from: string, to: string, sent: Sent) => askHost(barred, from, to, sent, host).allowed;
  assert.ok(open('out', 'h', { port: 22 }));
  assert.ok(!open('192.0.2.2', 'h', { port: 22 }), 'its net');
  assert.ok(!open('out', 'h', { port: 22, protocol: 17 }), 'its protocol');
  assert.ok(!open('h', 'out', { port: 22 }), 'its direction');
  assert.ok(open('h', 'out', { port: 53, protocol: 17 }));
  assert.ok(!open('out', 'b', { port: 23 }));
  assert.deepEqual(toldHost(askHost(barred, 'out', 'h', { port: 22 }, host)), [
    'eth0 untracked ingress: continue by failsafe',
    'eth0 pre-dnat ingress: continue by failsafe',
    'eth0 normal ingress: allow by failsafe',
  ]);
});

test('oracle: 2.10 doNotTrack: replies of failsafe ports pass, for no connection tracking tells them', () => {
  const barred = [eth0, gnp('p', atHosts({ ...untracked, ingress: [deny], egress: [deny] }))];
  const first = (from: string, to: string, sent: Sent) => toldHost(askHost(barred, from, to, sent))[0];
  assert.equal(
    first('out', 'h', { protocol: 17, srcPort: 53 }),
    'eth0 untracked ingress: continue by failsafe',
  );
  assert.equal(first('h', 'out', { srcPort: 22 }), 'eth0 untracked egress: continue by failsafe');
  assert.equal(first('out', 'h', { srcPort: 22 }), 'eth0 untracked ingress: deny');
  const tracked = [closed, gnp('p', atHosts({ ...preDnat, ingress: [deny] }))];
  assert.ok(!askHost(tracked, 'out', 'h', { protocol: 17, srcPort: 53 }).allowed, 'there alone');
});

test('oracle: 2.10 Host endpoint, forwarded traffic: policies with applyOnForward alone; no failsafes, no profiles', () => {
  const plain = gnp('p', atHosts({ ingress: [deny], egress: [deny] }));
  const open = usual.filter((way) => way !== 'out h' && way !== 'h out');
  assert.deepEqual(waysOpen([eth0, plain]), open);
  const forwarding = gnp('p', atHosts({ ...forward, ingress: [allow], egress: [deny] }));
  assert.deepEqual(waysOpen([closed, forwarding]), ['out h', 'out b', 'h b', 'h h1', 'a b']);
  assert.deepEqual(waysOpen([eth0, forwarding], { protocol: 17, port: 53 }), [
    ...['out h', 'out b', 'h out', 'h b', 'h h1', 'a b'],
  ]);
  const passing = [closed, gnp('p', atHosts({ ...forward, ingress: [{ action: 'Pass' }] }))];
  assert.deepEqual(toldHost(askHost(passing, 'out', 'b')).at(-1), 'eth0 forward ingress: continue');
  const judgement = askHost([closed, gnp('p', atHosts(forward))], 'out', 'b');
  assert.deepEqual(judgement.host.flatMap(told), ['end of default deny']);
  assert.equal(judgement.ingress?.verdict, 'allow', 'the pod says its own word');
});

test('oracle: 2.10 Host endpoint, forwarded traffic: by the link it comes in and the link it goes out', () => {
  const both = [
    hep('in', { interfaceName: 'eth0' }),
    hep('out', { interfaceName: 'eth1' }),
    gnp('p', atHosts({ ...forward, ingress: [allow], egress: [allow] })),
  ];
  assert.deepEqual(toldHost(askHost(both, 'out', '192.0.2.9', { in: 'eth0', out: 'eth1' })), [
    'in untracked ingress: continue',
    'in pre-dnat ingress: continue',
    'in forward ingress: allow',
    'out forward egress: allow',
  ]);
  const barred = gnp('a', atHosts({ ...forward, ingress: [deny], egress: [deny] }));
  const dropped = toldHost(askHost([...both, barred], 'out', '192.0.2.9', { in: 'eth0', out: 'eth1' }));
  assert.deepEqual(dropped.slice(2), ['in forward ingress: deny'], 'what is dropped goes no further');
  assert.deepEqual(toldHost(askHost(both, 'a', 'out', { out: 'eth1' })), ['out forward egress: allow']);
  const elsewhere = pod('blue', 'd', '4', { nodeName: 'n2' });
  assert.deepEqual(toldHost(askHost([...both, elsewhere], 'a', '10.0.0.4', { out: 'eth0' })), [
    'in forward egress: allow',
  ]);
});

test('oracle: 2.10 doNotTrack: first, both ways; what it accepts meets no later host policy of its direction', () => {
  const policy = gnp('p', atHosts({ ...untracked, ingress: [allow], egress: [allow] }));
  const barred = [
    gnp('q', atHosts({ ...preDnat, ingress: [deny] })),
    gnp('r', atHosts({ ...forward, ingress: [deny], egress: [deny] })),
  ];
  const open = (from: string, to: string) => toldHost(askHost([closed, policy, ...barred], from, to));
  assert.deepEqual(open('out', 'h'), ['eth0 untracked ingress: allow']);
  assert.deepEqual(open('out', 'b'), ['eth0 untracked ingress: allow']);
  assert.deepEqual(open('h', 'out'), ['eth0 untracked egress: allow']);
  assert.deepEqual(
    open('out', '192.0.2.9'),
    ['eth0 untracked ingress: allow', 'eth0 forward egress: deny'],
    'of its direction',
  );
  assert.deepEqual(open('a', 'out'), ['eth0 forward egress: deny'], 'untracked egress is of the host’s own');
});

test('oracle: 2.10 doNotTrack, preDNAT: the end of a tier never drops, a rule does', () => {
  const late = tier('late', 2_000_000);
  const at = (spec: Json) => [
    eth0,
    late,
    gnp('p', atHosts({ ...spec, ingress: [{ ...deny, protocol: 'UDP' }] })),
    gnp('q', atHosts({ ...spec, tier: 'late', ingress: [{ ...deny, protocol: 'SCTP' }] })),
  ];
  for (const [spec, stage] of [
    [untracked, 0],
    [preDnat, 1],
  ] as const) {
    const judgement = askHost(at(spec), 'out', 'h');
    assert.ok(judgement.allowed);
    assert.deepEqual(told(judgement.host[stage]), ['end of default pass', 'end of late pass']);
    assert.ok(!askHost(at(spec), 'out', 'h', { protocol: 17 }).allowed);
    assert.ok(!askHost(at(spec), 'out', 'b', { protocol: 132 }).allowed, 'the next tier was asked');
  }
});

test('oracle: 2.10 preDNAT: sees what the packet was sent to; what it accepts meets no later ingress', () => {
  const nat: Sent = { toBeforeNat: 'h', dstPortBeforeNat: 30080 };
  const before = (spec: Json, action: Json) =>
    gnp(
      'p',
      atHosts({ ...spec, ingress: [{ ...action, protocol: 'TCP', destination: { ports: [30080] } }] }),
    );
  const after = gnp(
    'q',
    atHosts({ ...forward, ingress: [{ ...deny, destination: { nets: ['10.0.0.2/32'] } }] }),
  );
  assert.ok(!askHost([eth0, before(preDnat, deny)], 'out', 'b', nat).allowed);
  assert.ok(askHost([eth0, before(preDnat, deny)], 'out', 'b', { port: 30081 }).allowed);
  assert.ok(askHost([eth0, before(preDnat, deny)], 'out', 'b', { ...nat, tracked: false }).allowed);
  assert.ok(!askHost([eth0, before(untracked, deny)], 'out', 'b', nat).allowed);
  assert.ok(!askHost([eth0, after], 'out', 'b', nat).allowed, 'later stages see where it goes');
  assert.deepEqual(toldHost(askHost([eth0, after, before(preDnat, allow)], 'out', 'b', nat)), [
    'eth0 untracked ingress: continue',
    'eth0 pre-dnat ingress: allow',
  ]);
  const toHost = [closed, before(preDnat, allow)];
  assert.ok(askHost(toHost, 'out', 'h', { port: 30080 }).allowed, 'nor profiles');
});

test('oracle: 2.10 preDNAT: an accepting host policy leaves the pod its say', () => {
  const toPod = gnp('q', { selector: "app == 'b'", ingress: [] });
  for (const spec of [untracked, preDnat, forward]) {
    const judgement = askHost([eth0, gnp('p', atHosts({ ...spec, ingress: [allow] })), toPod], 'out', 'b');
    assert.equal(judgement.ingress?.verdict, 'deny');
    assert.ok(!judgement.allowed);
  }
});

test('oracle: 2.10 * host endpoint: every host interface without one of its own; the smallest name wins', () => {
  const endpointOf = (heps: readonly Resource[], link = 'eth0') =>
    askHost(heps, 'out', 'h', { in: link }).host[0]?.endpoint;
  const any = (name: string) => hep(name, { interfaceName: '*' });
  const named = (name: string) => hep(name, { interfaceName: 'eth0' });
  const expecting = (name: string, ...expectedIPs: string[]) => hep(name, { expectedIPs });
  assert.equal(endpointOf([any('z'), any('y')]), 'y');
  assert.equal(endpointOf([any('a'), named('z')]), 'z');
  assert.equal(endpointOf([any('a'), named('z')], 'eth1'), 'a');
  assert.equal(endpointOf([any('a'), expecting('z', '172.16.0.1')]), 'z');
  assert.equal(endpointOf([named('c'), expecting('b', '10.9.9.9', 'fd16::1')]), 'b');
  assert.equal(endpointOf([expecting('b', '172.17.0.1')]), undefined, 'eth1’s');
  assert.equal(endpointOf([hep('b', { interfaceName: 'eth9', expectedIPs: ['172.16.0.1'] })]), undefined);
  assert.equal(endpointOf([hep('b', { interfaceName: 'eth0', node: 'n2' })]), undefined, 'another node’s');
  assert.equal(endpointOf([any('a')], 'eth7'), 'a');
});

test('oracle: 2.10 * host endpoint, Host to local workload: nobody polices what a host sends to its own pods', () => {
  const everything = gnp('p', { ...forward, types: ['Ingress', 'Egress'], ingress: [deny], egress: [deny] });
  const judgement = askHost([hep('all', { interfaceName: '*' }), everything], 'h', 'b');
  assert.deepEqual(
    [judgement.allowed, judgement.gate, judgement.ingress, judgement.host],
    [true, 'host-to-workload', null, []],
  );
});

test('oracle: 2.10 Workload to host: its egress policy, then the setting; host endpoints have no say', () => {
  const barred = [closed, hep('all', { interfaceName: '*' })];
  const ask = (extra: readonly Resource[], endpointToHost: 'drop' | 'return' | 'accept') =>
    askHost([...barred, ...extra], 'a', 'h', {}, hostWith({ endpointToHost }));
  const fate = ({ allowed, gate }: Judgement) => [allowed, gate];
  assert.deepEqual(fate(ask([], 'drop')), [false, 'endpoint-to-host']);
  assert.deepEqual(fate(ask([], 'return')), [true, null]);
  assert.deepEqual(fate(ask([], 'accept')), [true, null]);
  const egress = gnp('p', { selector: "app == 'a'", egress: [deny] });
  assert.deepEqual(fate(ask([egress], 'accept')), [false, null]);
  assert.deepEqual(fate(ask([egress], 'drop')), [false, null]);
  assert.deepEqual(told(ask([egress], 'drop').egress), ['default/GlobalNetworkPolicy/p[0] deny']);
});

test('oracle: 2.10 Workload to host: neighbour discovery and listener reports always pass, and nothing else of ICMPv6', () => {
  const egress = gnp('p', { selector: "app == 'a'", egress: [deny] });
  const passes = (to: string) =>
    Array.from({ length: 256 }, (_, type) => type).filter(
      (type) => askHost([egress], 'fd00::1', to, { protocol: 58, icmp: [type, 0] }).allowed,
    );
  assert.deepEqual(passes('fd16::1'), [130, 131, 132, 133, 135, 136, 143]);
  assert.deepEqual(passes('fd00::2'), [], 'to the host alone');
});

test('oracle: 2.10 Host endpoint: neighbour and router discovery always passes where it ends or starts, never forwarded', () => {
  const everything = gnp('p', atHosts({ ...forward, ingress: [deny], egress: [deny] }));
  const barred = [closed, everything, gnp('q', atHosts({ ...untracked, ingress: [deny], egress: [deny] }))];
  const passes = (from: string, to: string) =>
    Array.from({ length: 256 }, (_, type) => type).filter(
      (type) => askHost(barred, from, to, { protocol: 58, icmp: [type, 0] }).allowed,
    );
  const neighbours = [130, 131, 132, 133, 134, 135, 136, 143];
  assert.deepEqual(passes('2001:db8::9', 'fd16::1'), neighbours);
  assert.deepEqual(passes('fd16::1', '2001:db8::9'), neighbours);
  assert.deepEqual(passes('2001:db8::9', 'fd00::2'), []);
});

test('oracle: 2.10 Encapsulated packets: workloads may not send them, unless the node’s settings say so', () => {
  const vxlan: Sent = { protocol: 17, port: 4789 };
  const ipip: Sent = { protocol: 4 };
  for (const to of ['b', 'out', 'h']) {
    const gates = [vxlan, ipip].map((sent) => askHost([], 'a', to, sent).gate);
    assert.deepEqual(gates, ['encapsulated', 'encapsulated'], to);
  }
  const both = hostWith({ vxlanFromWorkloads: true, ipipFromWorkloads: true });
  assert.ok(askHost([], 'a', 'b', vxlan, both).allowed && askHost([], 'a', 'b', ipip, both).allowed);
  assert.ok(!askHost([], 'a', 'b', ipip, hostWith({ vxlanFromWorkloads: true })).allowed);
  assert.ok(!askHost([], 'a', 'b', vxlan, hostWith({ ipipFromWorkloads: true })).allowed);
  assert.ok(askHost([], 'a', 'b', vxlan, hostWith({ vxlanPort: 4790 })).allowed);
  assert.ok(askHost([], 'a', 'b', { port: 4789 }).allowed, 'TCP');
  assert.ok(askHost([], 'out', 'b', vxlan).allowed, 'from workloads alone');
});

test('oracle: 2.3 HostEndpoint: selectors in rules find its expectedIPs, named ports its ports, on every node', () => {
  const far = hep(
    'far',
    {
      node: 'n2',
      interfaceName: 'eth0',
      expectedIPs: ['192.0.2.1', '2001:db8::1'],
      ports: [
        { name: 'web', protocol: 'TCP', port: 80 },
        { name: 'dns', protocol: 17, port: 53 },
      ],
    },
    { role: 'gate' },
  );
  const from = (source: Json) =>
    askHost([far, gnp('p', { selector: "app == 'b'", ingress: [{ ...allow, source }] })], 'out', 'b').allowed;
  assert.ok(from({ selector: "role == 'gate'" }) && from({ selector: 'all()' }));
  assert.ok(!from({ notSelector: 'has(role)' }) && !from({ namespaceSelector: 'all()' }));
  assert.ok(from({ namespaceSelector: 'global()' }));
  const to = (destination: Json, sent: Sent = {}) =>
    askHost(
      [far, gnp('p', { selector: "app == 'a'", egress: [{ ...allow, destination }] })],
      'a',
      'out',
      sent,
    ).allowed;
  assert.ok(to({ ports: ['web'] }) && to({ ports: ['dns'] }, { protocol: 17, port: 53 }));
  assert.ok(!to({ ports: ['web'] }, { port: 81 }) && !to({ selector: "app == 'a'", ports: ['web'] }));
  assert.ok(to({ selector: "role == 'gate'", ports: ['web'] }));
});

test('oracle: 2.3 HostEndpoint: labels: its own beat those of its profiles, of which the first wins', () => {
  const profiles = [
    calico('Profile', 'one', { labelsToApply: { host: 'no', x: '1' } }),
    calico('Profile', 'two', { labelsToApply: { x: '2', y: '2' } }),
    calico('Profile', 'projectcalico-default-allow', { labelsToApply: { z: '3' }, ingress: [deny] }),
  ];
  const endpoint = hep('eth0', {
    interfaceName: 'eth0',
    profiles: ['projectcalico-default-allow', 'one', 'two', 'kns.red'],
  });
  const hit = (selector: string) =>
    !askHost([...profiles, endpoint, gnp('p', { selector })], 'out', 'h').allowed;
  assert.ok(hit("host == 'yes' && x == '1' && y == '2' && pcns.team == 'x'"));
  assert.ok(!hit('has(z)') && !hit("has(projectcalico.org/orchestrator) || x == '2'"));
});

test('oracle: 2.10 After tiers: a host endpoint’s profiles in order; a missing one denies', () => {
  const udp = calico('Profile', 'udp', { ingress: [{ ...allow, protocol: 'UDP' }] });
  const last = (profiles: readonly string[], sent: Sent) =>
    told(askHost([udp, hep('eth0', { interfaceName: 'eth0', profiles })], 'out', 'h', sent).host.at(-1));
  assert.deepEqual(last(['udp'], { protocol: 17 }), ['udp[0] allow']);
  assert.deepEqual(last(['udp'], {}), ['end of profiles']);
  assert.deepEqual(last(['udp', 'none'], {}), ['none missing']);
});

test('oracle: at a host: pods of other nodes are beyond it, and their policy is their node’s', () => {
  const far = pod('blue', 'd', '4', { nodeName: 'n2', labels: { app: 'd' } });
  const barred = gnp('p', { selector: "app == 'd'", types: ['Ingress', 'Egress'] });
  assert.equal(askHost([far, barred], 'a', '10.0.0.4').ingress, null);
  assert.ok(askHost([far, barred], 'a', '10.0.0.4').allowed);
  assert.deepEqual(toldHost(askHost([far, eth0], '10.0.0.4', 'b')), [
    'eth0 untracked ingress: continue',
    'eth0 pre-dnat ingress: continue',
    'eth0 forward ingress: continue',
  ]);
});
