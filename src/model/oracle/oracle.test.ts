// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../lib/address.ts';
import type { Resource } from '../types.ts';
import { type Chain, type Judgement, judge } from './oracle.ts';

type Json = { readonly [field: string]: unknown };

const calico = (kind: string, name: string, spec: Json, namespace?: string): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: namespace ? { name, namespace } : { name },
  spec,
});
const gnp = (name: string, spec: Json) => calico('GlobalNetworkPolicy', name, spec);
const np = (namespace: string, name: string, spec: Json) => calico('NetworkPolicy', name, spec, namespace);
const knp = (namespace: string, name: string, spec: Json): Resource => ({
  ...np(namespace, name, spec),
  apiVersion: 'networking.k8s.io/v1',
});
const tier = (name: string, order: number, defaultAction = 'Deny') =>
  calico('Tier', name, { order, defaultAction });
const core = (
  kind: string,
  name: string,
  labels: { [key: string]: string },
  namespace?: string,
): Resource => ({
  apiVersion: 'v1',
  kind,
  metadata: namespace ? { name, namespace, labels } : { name, labels },
});

function pod(namespace: string, name: string, ip: string, fields: Json = {}): Resource {
  const { labels = {}, status = {}, ...spec } = fields;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: labels as { [key: string]: string } },
    spec: { nodeName: 'n1', serviceAccountName: 'default', ...spec },
    status: { podIPs: [{ ip: `10.0.0.${ip}` }, { ip: `fd00::${ip}` }], ...(status as Json) },
  };
}

/** Two namespaces; `red/a` and `red/b`, `blue/c`; each with a service account `default`. */
const cluster: readonly Resource[] = [
  core('Namespace', 'red', { team: 'x' }),
  core('Namespace', 'blue', { team: 'y' }),
  core('ServiceAccount', 'default', { role: 'plain' }, 'red'),
  core('ServiceAccount', 'default', { role: 'other' }, 'blue'),
  pod('red', 'a', '1', { labels: { app: 'a' } }),
  pod('red', 'b', '2', {
    labels: { app: 'b' },
    containers: [
      {
        ports: [
          { name: 'web', containerPort: 80 },
          { name: 'dns', containerPort: 53, protocol: 'UDP' },
        ],
      },
    ],
  }),
  pod('blue', 'c', '3', { labels: { app: 'c' } }),
];
const addresses: { readonly [name: string]: string } = {
  a: '10.0.0.1',
  b: '10.0.0.2',
  c: '10.0.0.3',
  out: '192.0.2.1',
};

interface Sent {
  readonly protocol?: number;
  readonly port?: number;
  readonly srcPort?: number;
  readonly icmp?: readonly [number, number];
}

function ask(
  extra: readonly Resource[],
  from: string,
  to: string,
  sent: Sent = {},
  base = cluster,
): Judgement {
  const { protocol = sent.icmp ? 1 : 6, port = 80, srcPort = 40000, icmp } = sent;
  const ports = [6, 17, 132].includes(protocol) ? { srcPort, dstPort: port } : {};
  return judge([...base, ...extra], {
    from: parseAddress(addresses[from] ?? from),
    to: parseAddress(addresses[to] ?? to),
    protocol,
    ...ports,
    ...(icmp ? { icmpType: icmp[0], icmpCode: icmp[1] } : {}),
  });
}

function allowed(
  extra: readonly Resource[],
  from: string,
  to: string,
  sent: Sent = {},
  base = cluster,
): boolean {
  return ask(extra, from, to, sent, base).allowed;
}

/** In words: `default/GlobalNetworkPolicy/p[0] log`, `end of default deny`. */
function told(chain: Chain | null): string[] {
  return (chain?.links ?? []).map((link) => {
    if (link.at === 'rule') return `${link.tier}/${link.policy}[${link.rule}] ${link.action}`;
    if (link.at === 'end-of-tier') return `end of ${link.tier} ${link.action}`;
    if (link.at === 'profile-rule') return `${link.profile}[${link.rule}] ${link.action}`;
    return link.at === 'missing-profile' ? `${link.profile} missing` : 'end of profiles';
  });
}

const allow = { action: 'Allow' };
const deny = { action: 'Deny' };
const toB = (spec: Json) => ({ selector: "app == 'b'", types: ['Ingress'], ...spec });

test('oracle: a pod that no policy selects is open both ways, by its namespace’s profile', () => {
  const judgement = ask([], 'a', 'b');
  assert.deepEqual(told(judgement.egress), ['kns.red[0] allow']);
  assert.deepEqual(told(judgement.ingress), ['kns.red[0] allow']);
  assert.equal(judgement.ingress?.pod, 'red/b');
  assert.deepEqual(told(ask([], 'out', 'b').egress), [], 'nobody judges an outside address');
});

test('oracle: profiles: a missing one denies; a stored one serves when none is derived', () => {
  const orphan = [pod('gray', 'a', '1'), pod('red', 'b', '2'), core('Namespace', 'red', {})];
  assert.deepEqual(told(ask([], 'a', 'b', {}, orphan).egress), ['kns.gray missing']);
  // Under such a name nobody may store one, but pods have no other profiles.
  const stored = calico('Profile', 'kns.gray', {
    egress: [{ action: 'Log' }, { action: 'Allow', protocol: 'TCP' }],
  });
  assert.deepEqual(told(ask([stored], 'a', 'b', {}, orphan).egress), [
    'kns.gray[0] log',
    'kns.gray[1] allow',
  ]);
  assert.deepEqual(told(ask([stored], 'a', 'b', { protocol: 17 }, orphan).egress), [
    'kns.gray[0] log',
    'ksa.gray.default missing',
  ]);
  const account = core('ServiceAccount', 'default', {}, 'gray');
  assert.deepEqual(told(ask([stored, account], 'a', 'b', { protocol: 17 }, orphan).egress), [
    'kns.gray[0] log',
    'end of profiles',
  ]);
});

test('oracle: a tier takes part only with a policy that selects the endpoint and governs the direction', () => {
  const early = tier('early', 1);
  assert.ok(allowed([early], 'a', 'b'), 'no policy');
  const other = gnp('p', { tier: 'early', selector: "app == 'c'", types: ['Ingress'] });
  assert.ok(allowed([early, other], 'a', 'b'), 'a policy for someone else');
  const egress = gnp('p', { tier: 'early', selector: "app == 'b'", types: ['Egress'] });
  assert.ok(allowed([early, egress], 'a', 'b'), 'a policy for the other direction');
  assert.deepEqual(told(ask([early, gnp('p', toB({ tier: 'early' }))], 'a', 'b').ingress), [
    'end of early deny',
  ]);
});

test('oracle: tiers by order, then name; without order at one million; unknown ones last and denying, by name', () => {
  const pass = { action: 'Pass' };
  const at = (name: string) => gnp(name, toB({ tier: name, ingress: [pass] }));
  const resources = [
    tier('z', 5),
    tier('b', 7),
    tier('a', 7),
    tier('late', 20_000_000),
    calico('Tier', 'plain', {}),
    ...['ghost2', 'late', 'plain', 'default', 'kube-admin', 'ghost1', 'a', 'b', 'z', 'kube-baseline'].map(at),
  ];
  assert.deepEqual(
    told(ask(resources, 'a', 'b').ingress).map((link) => link.split('/')[0]),
    [
      'z',
      'a',
      'b',
      'kube-admin',
      'default',
      'plain',
      'kube-baseline',
      'late',
      'ghost1',
      'ghost2',
      'kns.red[0] allow',
    ],
  );
  assert.deepEqual(told(ask([gnp('p', toB({ tier: 'ghost' }))], 'a', 'b').ingress), ['end of ghost deny']);
  const renumbered = [tier('default', 1, 'Pass'), gnp('p', toB({}))];
  assert.deepEqual(told(ask(renumbered, 'a', 'b').ingress), ['end of default deny'], 'default is fixed');
});

test('oracle: policies by order, unset last, ties by name, namespace, kind', () => {
  const log = (spec: Json) => toB({ ingress: [{ action: 'Log' }], ...spec });
  const resources = [
    gnp('a', log({})),
    gnp('z', log({ order: 1 })),
    np('red', 'm', log({ order: 2 })),
    gnp('m', log({ order: 2 })),
    knp('red', 'k', { podSelector: {}, ingress: [{ ports: [{ port: 9 }] }] }),
    gnp('last', log({ order: 1001 })),
  ];
  assert.deepEqual(told(ask(resources, 'a', 'b').ingress), [
    'default/GlobalNetworkPolicy/z[0] log',
    'default/GlobalNetworkPolicy/m[0] log',
    'default/NetworkPolicy/red/m[0] log',
    'default/GlobalNetworkPolicy/last[0] log',
    'default/GlobalNetworkPolicy/a[0] log',
    'end of default deny',
  ]);
  const same = [
    gnp('k', toB({ order: 1000, ingress: [deny] })),
    knp('red', 'k', { podSelector: {}, ingress: [{}] }),
  ];
  assert.ok(!allowed(same, 'a', 'b'), 'namespace is asked before kind, and a global policy has none');
});

test('oracle: first match wins; Log goes on; Pass leaves the tier; the end of a tier is its default action', () => {
  const rules = [
    { action: 'Log' },
    { action: 'Allow', protocol: 'UDP' },
    { action: 'Pass', protocol: 'TCP' },
    deny,
  ];
  const resources = [tier('t', 1), gnp('p', toB({ tier: 't', ingress: rules })), gnp('q', toB({}))];
  assert.deepEqual(told(ask(resources, 'a', 'b').ingress), [
    't/GlobalNetworkPolicy/p[0] log',
    't/GlobalNetworkPolicy/p[2] pass',
    'end of default deny',
  ]);
  assert.ok(allowed(resources, 'a', 'b', { protocol: 17 }));
  assert.ok(!allowed(resources, 'a', 'b', { protocol: 132 }));
  const passing = [tier('t', 1, 'Pass'), gnp('p', toB({ tier: 't' }))];
  assert.deepEqual(told(ask(passing, 'a', 'b').ingress), ['end of t pass', 'kns.red[0] allow']);
});

test('oracle: types follow from the length of the lists', () => {
  const table: [Json, boolean, boolean][] = [
    [{}, true, false],
    [{ ingress: [] }, true, false],
    [{ egress: [] }, true, false],
    [{ types: [], ingress: [], egress: [] }, true, false],
    [{ egress: [deny] }, false, true],
    [{ ingress: [], egress: [deny] }, false, true],
    [{ ingress: [deny], egress: [] }, true, false],
    [{ ingress: [deny], egress: [deny] }, true, true],
    [{ types: ['Egress'], ingress: [deny] }, false, true],
    [{ types: ['Ingress', 'Egress'] }, true, true],
  ];
  for (const [spec, ingress, egress] of table) {
    const policy = [gnp('p', { selector: "app == 'b'", ...spec })];
    assert.equal(!allowed(policy, 'a', 'b'), ingress, `ingress ${JSON.stringify(spec)}`);
    assert.equal(!allowed(policy, 'b', 'a'), egress, `egress ${JSON.stringify(spec)}`);
  }
});

test('oracle: untracked and pre-DNAT policies are not about workloads', () => {
  assert.ok(allowed([gnp('p', toB({ doNotTrack: true, applyOnForward: true }))], 'a', 'b'));
  assert.ok(allowed([gnp('p', toB({ preDNAT: true, applyOnForward: true }))], 'a', 'b'));
  assert.ok(!allowed([gnp('p', toB({ applyOnForward: true }))], 'a', 'b'));
});

test('oracle: which endpoints a policy selects', () => {
  const select = (spec: Json) =>
    ['a', 'b', 'c'].filter((to) => !allowed([gnp('p', { types: ['Ingress'], ...spec })], 'out', to));
  assert.deepEqual(select({}), ['a', 'b', 'c']);
  assert.deepEqual(select({ selector: "app in {'a', 'c'}" }), ['a', 'c']);
  assert.deepEqual(select({ selector: "nothing != 'x'" }), ['a', 'b', 'c'], '!= holds without the label');
  assert.deepEqual(select({ selector: "nothing not in {'x'}" }), ['a', 'b', 'c']);
  assert.deepEqual(select({ selector: "nothing == 'x' || nothing contains ''" }), []);
  assert.deepEqual(select({ selector: "pcns.team == 'y'" }), ['c']);
  assert.deepEqual(
    select({ selector: "projectcalico.org/orchestrator == 'k8s' && pcns.projectcalico.org/name == 'red'" }),
    ['a', 'b'],
  );
  assert.deepEqual(select({ namespaceSelector: "team == 'x'" }), ['a', 'b']);
  assert.deepEqual(select({ namespaceSelector: 'all()', selector: "app != 'a'" }), ['b', 'c']);
  assert.deepEqual(select({ serviceAccountSelector: "role == 'other'" }), ['c']);
  const inBlue = ['a', 'b', 'c'].filter(
    (to) => !allowed([np('blue', 'p', { types: ['Ingress'] })], 'out', to),
  );
  assert.deepEqual(inBlue, ['c']);
});

test('oracle: pods may not carry inherited labels themselves; their own beat inherited ones', () => {
  const base = [
    core('Namespace', 'red', { 'projectcalico.org/name': 'forged', x: '1' }),
    pod('red', 'b', '2', {
      labels: { 'pcns.team': 'x', 'pcsa.role': 'x', 'projectcalico.org/namespace': 'blue' },
    }),
  ];
  const hit = (selector: string) =>
    !allowed([gnp('p', { selector, types: ['Ingress'] })], 'out', 'b', {}, base);
  assert.ok(!hit('has(pcns.team) || has(pcsa.role)'));
  assert.ok(hit("projectcalico.org/namespace == 'red'"));
  assert.ok(hit("pcns.projectcalico.org/name == 'red' && pcns.x == '1'"));
});

test('oracle: pods in the host network and finished pods have no endpoint', () => {
  const rest = cluster.filter((resource) => resource.metadata.name !== 'a');
  const policy = gnp('p', {
    selector: "app == 'b'",
    ingress: [{ action: 'Allow', source: { selector: "app == 'a'" } }],
  });
  const as = (fields: Json) =>
    ask([policy, pod('red', 'a', '1', { labels: { app: 'a' }, ...fields })], 'a', 'b', {}, rest);
  assert.ok(as({}).allowed);
  assert.ok(!as({ hostNetwork: true }).allowed);
  assert.equal(as({ hostNetwork: true }).egress, null);
  for (const phase of ['Succeeded', 'Failed']) {
    const status = { phase, podIPs: [{ ip: '10.0.0.1' }] };
    assert.ok(!as({ status }).allowed, phase);
  }
});

test('oracle: nets, notNets and selectors of one side must all hold; nets are alternatives', () => {
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

test('oracle: notSelector alone also passes addresses of nobody; folded into a selector it does not', () => {
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

test('oracle: an address in several sets: one owner must satisfy the folded pair, none the bare notSelector', () => {
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

test('oracle: namespaced rules: selectors and service accounts stay at home, nets do not', () => {
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

test('oracle: service accounts by name and selector, in global policies in every namespace', () => {
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

test('oracle: all() and global() in a rule’s namespaceSelector: network sets with and without a namespace', () => {
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

test('oracle: ports: numbers, ranges and names are alternatives; notPorts must all miss', () => {
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

test('oracle: named ports may stand without protocol: a packet without ports has none of them', () => {
  const to = (destination: Json, sent: Sent) =>
    allowed([gnp('p', toB({ ingress: [{ action: 'Allow', destination }] }))], 'a', 'b', sent);
  assert.ok(to({ ports: ['dns'] }, { protocol: 17, port: 53 }));
  assert.ok(!to({ ports: ['dns'] }, { protocol: 6, port: 53 }));
  assert.ok(!to({ ports: ['dns'] }, { icmp: [8, 0] }));
  assert.ok(to({ notPorts: ['dns'] }, { icmp: [8, 0] }));
  assert.ok(to({ notPorts: ['dns'] }, { protocol: 253 }));
});

test('oracle: protocols by name and number, notProtocol, ICMP type and code, ipVersion', () => {
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

test('oracle: a pod reaches itself whatever the policy, also by its other address', () => {
  const closed = gnp('p', { types: ['Ingress', 'Egress'] });
  assert.deepEqual(ask([closed], 'a', 'a'), { allowed: true, egress: null, ingress: null });
});

test('oracle: both ends must allow', () => {
  const egress = gnp('p', {
    selector: "app == 'a'",
    egress: [{ action: 'Allow', destination: { selector: "app == 'b'" } }],
  });
  assert.ok(allowed([egress], 'a', 'b'));
  assert.ok(!allowed([egress], 'a', 'c'));
  const judgement = ask([egress, gnp('q', toB({}))], 'a', 'b');
  assert.deepEqual(
    [judgement.egress?.verdict, judgement.ingress?.verdict, judgement.allowed],
    ['allow', 'deny', false],
  );
});

test('oracle: Kubernetes: an empty rule allows all, no rule none; peers and ports', () => {
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
  assert.ok(!ports({ port: 'dns' }, { port: 53 }), 'the protocol is TCP where none is written');
  assert.ok(ports({ protocol: 'SCTP' }, { protocol: 132 }) && !ports({}, { icmp: [8, 0] }));
});

test('oracle: Kubernetes: network sets are no pods; any egress rule governs both directions', () => {
  const sets = [calico('NetworkSet', 'local', { nets: ['192.0.2.0/24'] }, 'red')];
  const peers = { podSelector: {}, ingress: [{ from: [{ podSelector: {} }, { namespaceSelector: {} }] }] };
  assert.ok(!allowed([...sets, knp('red', 'p', peers)], 'out', 'b'));
  const egress = knp('red', 'p', { podSelector: {}, egress: [{ to: [{ podSelector: {} }] }] });
  assert.ok(!allowed([egress], 'out', 'b'));
  assert.ok(!allowed([egress], 'a', 'c'));
  const only = knp('red', 'p', { podSelector: {}, policyTypes: ['Egress'] });
  assert.ok(allowed([only], 'out', 'b') && !allowed([only], 'b', 'out'));
});

test('oracle: what it cannot judge is an error, not an answer', () => {
  const services = gnp(
    'p',
    toB({ ingress: [{ action: 'Allow', source: { services: { name: 's', namespace: 'red' } } }] }),
  );
  assert.throws(() => ask([services], 'a', 'b'), /services/);
  assert.throws(() => ask([gnp('p', toB({ ingress: [{ ...allow, http: {} }] }))], 'a', 'b'), /http/);
});
