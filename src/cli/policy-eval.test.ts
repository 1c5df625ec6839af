// SPDX-License-Identifier: Apache-2.0
/** `policy eval`, `explain`, `policy compile`, `selector`: for people and as filters, without lab or root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: i, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIP: 10.0.0.2}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  selector: app == "db"
  ingress:
    - action: Log
    - action: Allow
      protocol: TCP
      source: {selector: app == "web"}
      destination: {ports: [pg]}
`;

test('one probe is explained step by step, with file and line', async () => {
  using session = new CliSession();
  const file = session.write('all.yaml', manifests);
  const allowed = await session.run([
    'policy',
    'eval',
    '-f',
    file,
    '--from',
    'shop/web',
    '--to',
    'shop/db',
    '--port',
    '5432',
  ]);
  assert.equal(allowed.code, 0);
  assert.equal(
    allowed.out,
    `shop/web (10.0.0.1) -> shop/db (10.0.0.2), TCP port 5432: allowed

egress of shop/web: allowed
  profile kns.shop: rule 0 allows

ingress of shop/db: allowed
  tier default
    NetworkPolicy/shop/db: rule 0 logs  (${file}:24)
    NetworkPolicy/shop/db: rule 1 allows  (${file}:25)
`,
  );
  const denied = await session.run([
    'policy',
    'eval',
    '-f',
    file,
    '--from',
    '192.0.2.1',
    '--to',
    'shop/db',
    '--port',
    '5432',
  ]);
  assert.match(denied.out, /192\.0\.2\.1 -> shop\/db \(10\.0\.0\.2\), TCP port 5432: denied/);
  assert.match(denied.out, /end of tier, its default action: denied/);
  assert.match(denied.out, /egress of 192\.0\.2\.1: it is no pod/);
});

test('explain reads the store and gives the same object as policy eval', async () => {
  using session = new CliSession();
  const file = session.write('all.yaml', manifests);
  assert.equal((await session.run(['apply', '-f', file])).code, 0);
  // a pod without a node is no endpoint of a cluster, but it is one of an evaluation
  const probe = ['--from', 'shop/web', '--to', 'shop/db', '--port', '5432', '-o', 'json'];
  const explained = await session.run(['explain', ...probe]);
  const evaluated = await session.run(['policy', 'eval', '-f', file, ...probe]);
  assert.deepEqual(JSON.parse(explained.out), JSON.parse(evaluated.out));
  assert.equal(JSON.parse(explained.out).allowed, true);
});

test('without ends the table of all pairs is printed; a pod without address is left out with a word', async () => {
  using session = new CliSession();
  const file = session.write(
    'all.yaml',
    `${manifests}---
apiVersion: v1
kind: Pod
metadata: {name: late, namespace: shop}
spec: {containers: [{name: c, image: i}]}
`,
  );
  const table = await session.run(['policy', 'eval', '-f', file, '--port', '5432']);
  assert.equal(
    table.out,
    [
      '                TCP/5432 by policy',
      '     FROM        1  2',
      '   1 shop/db     -  +',
      '   2 shop/web    +  -',
      '+ reached   - itself',
      '',
    ].join('\n'),
  );
  assert.deepEqual(table.notes, ['warning: pod shop/late is left out: it has no address (status.podIP)']);
  const closed = await session.run(['policy', 'eval', '-f', file, '--port', '22', '-o', 'json']);
  assert.deepEqual(JSON.parse(closed.out).tables['TCP/22']['shop/web'], {
    'shop/db': false,
    'shop/web': true,
  });
});

test('wrong ends, ports and protocols are named', async () => {
  using session = new CliSession();
  const file = session.write('all.yaml', manifests);
  const evaluate = (...args: string[]) => session.run(['policy', 'eval', '-f', file, ...args]);
  const cases: [string[], number, RegExp][] = [
    [['--from', 'shop/web'], 2, /both --from and --to/],
    [['--from', 'shop/nope', '--to', 'shop/db', '--port', '80'], 3, /no pod shop\/nope/],
    [
      ['--from', 'web', '--to', 'shop/db', '--port', '80'],
      5,
      /"web", want namespace\/pod, an address or host\/NODE/,
    ],
    [['--from', 'shop/web', '--to', 'shop/db'], 5, /port: got nothing/],
    [
      ['--from', 'shop/web', '--to', 'shop/db', '--port', '70000'],
      5,
      /"70000", want a number from 1 to 65535/,
    ],
    [
      ['--from', 'shop/web', '--to', 'shop/db', '--protocol', 'TPC', '--port', '1'],
      5,
      /"TPC": want ICMP, TCP/,
    ],
    [['--from', 'shop/web', '--to', 'fd00::1', '--port', '1'], 5, /source has IPv4, destination has IPv6/],
  ];
  for (const [args, code, message] of cases) {
    const outcome = await evaluate(...args);
    assert.equal(outcome.code, code, args.join(' '));
    assert.match(outcome.notes.join('\n'), message);
  }
});

const cluster: {
  namespaces: object;
  pods: { labels: { [key: string]: string }; [field: string]: unknown }[];
} = {
  namespaces: { x: { team: 'a' }, y: {} },
  pods: [
    {
      namespace: 'x',
      name: 'a',
      ip: '10.0.0.1',
      labels: { app: 'a' },
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    },
    { namespace: 'y', name: 'b', ip: '10.0.0.2', labels: { constructor: 'p', app: 'b' }, ports: [] },
  ],
};
const policy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'p', namespace: 'x' },
  spec: {
    podSelector: {},
    ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'a' } } }], ports: [{ port: 'http' }] }],
  },
};

async function filter(args: readonly string[], lines: readonly string[]): Promise<unknown[]> {
  using session = new CliSession();
  const outcome = await session.run(['--ndjson', ...args], lines.map((line) => `${line}\n`).join(''));
  assert.equal(outcome.code, 0);
  return outcome.out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

test('the filter answers in order and survives whatever comes', async () => {
  const probe = { cluster, policies: [policy], from: 'y/b', to: 'x/a', port: 80, protocol: 'TCP' };
  const answers = (await filter(
    ['policy', 'eval'],
    [
      JSON.stringify(probe),
      'nonsense',
      'null',
      '{}',
      JSON.stringify({ ...probe, policies: [{ ...policy, spec: { podSelector: 5 } }] }),
      JSON.stringify({
        ...probe,
        from: undefined,
        matrix: [
          [80, 'TCP'],
          ['81', 'UDP'],
          [0, 'ICMP'],
        ],
      }),
      JSON.stringify({ ...probe, matrix: [[80]] }),
      JSON.stringify({ ...probe, from: '10.0.0.1' }),
    ],
  )) as {
    allowed?: boolean;
    sameEndpoint?: boolean;
    error?: { code: string; faults?: unknown[] };
    tables?: object;
  }[];
  assert.equal(answers[0]?.allowed, false);
  for (const i of [1, 2, 3]) assert.equal(answers[i]?.error?.code, 'INVALID');
  assert.equal(answers[4]?.error?.faults?.length, 1);
  assert.deepEqual(answers[5]?.tables, {
    'TCP/80': { 'x/a': { 'x/a': true, 'y/b': true }, 'y/b': { 'x/a': false, 'y/b': true } },
    'UDP/81': { 'x/a': { 'x/a': true, 'y/b': true }, 'y/b': { 'x/a': false, 'y/b': true } },
    ICMP: { 'x/a': { 'x/a': true, 'y/b': true }, 'y/b': { 'x/a': false, 'y/b': true } },
  });
  assert.ok(answers[6]?.tables);
  assert.equal(answers[7]?.sameEndpoint, true);
});

test('policy compile prints what a node is sent, and policy eval --rules reads it', async () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'x', labels: { app: 'a' } },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 80 }] }],
    },
    status: { podIP: '10.0.0.1' },
  };
  const resources = [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }, pod, policy];
  const [compiled] = (await filter(['policy', 'compile'], [JSON.stringify({ node: 'n1', resources })])) as {
    ipSets: object;
    policies: object;
    profiles: object;
    endpoints: object;
  }[];
  assert.deepEqual(Object.keys(compiled?.endpoints ?? {}), ['WorkloadEndpoint/x/a']);
  assert.deepEqual(Object.keys(compiled?.policies ?? {}), ['KubernetesNetworkPolicy/x/p']);
  const packet = { protocol: 6, src: '10.0.0.9', dst: '10.0.0.1', dstPort: 80 };
  const request = { kind: 'workload', ipVersion: 4, policy: compiled, ipSets: compiled?.ipSets, packet };
  const [denied, host] = await filter(
    ['policy', 'eval', '--rules'],
    [JSON.stringify(request), JSON.stringify({ ...request, kind: 'host' })],
  );
  assert.deepEqual(denied, { verdict: 'deny', hits: [] });
  assert.deepEqual(host, { verdict: 'deny', hits: [] });
});

test('selectors are parsed and tried, for people and as a filter', async () => {
  using session = new CliSession();
  const parsed = await session.run(['selector', 'parse', "a=='b'&&has(c)"]);
  assert.match(parsed.out, /^\(a == "b" && has\(c\)\)\ns:[\w-]{38}\n$/);
  const wrong = await session.run(['selector', 'parse', 'a == ']);
  assert.equal(wrong.code, 5);
  assert.match(wrong.notes.join('\n'), /^a == \n {5}\^\nerror: /);
  assert.equal((await session.run(['selector', 'eval', 'a == "b"', 'a=b'])).out, 'true\n');
  assert.equal((await session.run(['selector', 'eval', 'all()', 'nolabel'])).code, 2);
  const answers = await filter(
    ['selector', 'eval'],
    ['{"selector":"has(__proto__)","labels":{}}', '{"selector":"a ==","labels":{}}'],
  );
  assert.deepEqual(answers[0], { match: false });
  assert.equal((answers[1] as { error: { code: string } }).error.code, 'INVALID');
  const [error] = (await filter(['selector', 'parse'], ['{"selector":"a b"}'])) as {
    error: { position: number };
  }[];
  assert.equal(error?.error.position, 2);
});

test("a pod named by an address: that address's packet is judged, not one of its other family", async () => {
  using session = new CliSession();
  const dual = manifests.replace(
    '{podIP: 10.0.0.2}',
    '{podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}',
  );
  const file = session.write('all.yaml', dual);
  const eval6 = ['policy', 'eval', '-f', file, '--from', 'shop/web', '--to', 'fd00::2', '--port', '5432'];
  const { code, notes } = await session.run(eval6);
  assert.equal(code, 5);
  assert.match(notes.join(), /source has IPv4, destination has IPv6/);
});

test('an end that is no pod keeps its place: egress first', async () => {
  using session = new CliSession();
  const file = session.write('all.yaml', manifests);
  const { out } = await session.run([
    'policy',
    'eval',
    '-f',
    file,
    '--from',
    '192.0.2.1',
    '--to',
    'shop/db',
    '--port',
    '1',
  ]);
  assert.ok(
    out.indexOf('egress of 192.0.2.1: it is no pod') < out.indexOf('ingress of shop/db: denied'),
    out,
  );
});
