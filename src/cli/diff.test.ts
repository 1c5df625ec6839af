// SPDX-License-Identifier: Apache-2.0
/** `muslin diff`: what would change, by which rule; against the store or manifests; and that nothing is stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const pods = ['web-1', 'web-2', 'db']
  .map(
    (name) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name.split('-')[0]}}}
spec: {containers: [{name: c, image: i, ports: [{name: main, containerPort: 80}]}]}
`,
  )
  .join('---\n');
const closed = `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  selector: app == "db"
  ingress:
    - action: Deny
      protocol: TCP
      destination: {ports: [5432]}
    - action: Allow
`;

/** Two sessions' folders have two names. */
async function run(session: CliSession, ...args: readonly string[]) {
  const { code, out, notes } = await session.run(args);
  const plain = (text: string) => text.replaceAll(`${session.folder}/`, '');
  return { code, out: plain(out), notes: plain(notes.join('\n')) };
}

function withFiles(): { session: CliSession; pods: string; closed: string } {
  const session = new CliSession();
  return { session, pods: session.write('pods.yaml', pods), closed: session.write('closed.yaml', closed) };
}

test('what becomes denied, by which rule, and by which it was allowed', async () => {
  const files = withFiles();
  using session = files.session;
  const { code, out, notes } = await run(session, 'diff', '--against', files.pods, '-f', files.closed);
  assert.equal(code, 0);
  assert.equal(
    out,
    `networkpolicy.projectcalico.org/shop/db created
compared: 3 ends, 6 pairs, 10 packets each

would become denied: 4 cases

  before by ingress: profile kns.shop rule 0
  after by ingress: NetworkPolicy/shop/db rule 0 (closed.yaml:7)
    TCP 5432: 2 pairs
      shop/web-1, shop/web-2 -> shop/db
`,
  );
  assert.match(notes, /3 pods have no address/);
});

test('against the store: it is only read; afterwards apply does what was said; deletion is the way back', async () => {
  const files = withFiles();
  using session = files.session;
  assert.equal((await session.run(['apply', '-f', files.pods])).code, 0);
  const diff = (...args: string[]) => run(session, 'diff', '--exit-code', ...args);
  const first = await diff('-f', files.closed);
  assert.equal(first.code, 8);
  assert.equal((await session.run(['get', 'caliconetworkpolicies', '-A', '-o', 'name'])).out, '');
  assert.equal((await session.run(['apply', '-f', files.closed])).code, 0);
  const again = await diff('-f', files.closed);
  assert.deepEqual(
    [again.code, again.out],
    [
      0,
      'no object would change\ncompared: 3 ends, 6 pairs, 10 packets each\n\nnothing would become allowed or denied\n',
    ],
  );
  const back = await diff('--delete', '-f', files.closed);
  assert.equal(back.code, 8);
  assert.match(
    back.out,
    /^networkpolicy\.projectcalico\.org\/shop\/db deleted\n[\s\S]*would become allowed: 4 cases\n/,
  );
  assert.equal(
    (await diff('--delete', '-f', session.write('other.yaml', closed.replace('name: db', 'name: nope'))))
      .code,
    3,
  );
});

test('staged policies change nothing, and --staged shows what they would do', async () => {
  const files = withFiles();
  using session = files.session;
  const staged = session.write('staged.yaml', closed.replace('NetworkPolicy', 'StagedNetworkPolicy'));
  const plain = await run(session, 'diff', '--against', files.pods, '-f', staged);
  assert.match(plain.out, /nothing would become allowed or denied/);
  assert.match(plain.notes, /--staged shows/);
  const asked = await run(session, 'diff', '--against', files.pods, '-f', staged, '--staged');
  assert.match(asked.out, /after by ingress: StagedNetworkPolicy\/shop\/db rule 0 \(staged\.yaml:7\)/);
  const stored = await run(session, 'diff', '--against', files.pods, staged, '--staged', '--all');
  assert.match(
    stored.out,
    /^no object would change\n[\s\S]*\n {6}shop\/web-1 -> shop\/db\n {6}shop\/web-2 -> shop\/db\n/,
  );
});

test('JSON names packets, pairs and deciders; what comes and goes is named and not compared', async () => {
  const files = withFiles();
  using session = files.session;
  const more = session.write('more.yaml', pods.split('---\n')[0]?.replace('web-1', 'web-3') ?? '');
  const { out } = await run(session, 'diff', '--against', files.pods, '-f', files.closed, more, '-o', 'json');
  const { added, removed, changes } = JSON.parse(out);
  assert.deepEqual([added, removed], [['shop/web-3'], []]);
  const [{ packets, pairs, ...change }] = changes;
  assert.deepEqual(packets, [
    { ipVersion: 4, protocol: 6, port: 5432 },
    { ipVersion: 6, protocol: 6, port: 5432 },
  ]);
  assert.deepEqual(pairs, [
    { from: 'shop/web-1', to: 'shop/db' },
    { from: 'shop/web-2', to: 'shop/db' },
  ]);
  assert.equal(change.change, 'denied');
  assert.deepEqual(change.decidedAfter[0].by.origin, { file: 'closed.yaml', line: 7 });
});

test('host endpoints: nodes are ends too', async () => {
  const files = withFiles();
  using session = files.session;
  const hosts = session.write(
    'hosts.yaml',
    `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n1, labels: {at: n1}}
spec: {node: n1, expectedIPs: [172.16.0.1], profiles: [projectcalico-default-allow]}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n2}
spec: {node: n2, expectedIPs: [172.16.0.2], profiles: [projectcalico-default-allow]}
`,
  );
  const policy = session.write(
    'policy.yaml',
    `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: no-web}
spec: {selector: at == "n1", types: [Ingress], ingress: [{action: Deny, protocol: TCP, destination: {ports: [22, 443]}}, {action: Allow}]}
`,
  );
  const { out } = await run(session, 'diff', '--against', files.pods, hosts, '-f', policy);
  assert.match(
    out,
    /TCP 443 \(IPv4\): 4 pairs\n {6}shop\/db, shop\/web-1, shop\/web-2, host\/n2 -> host\/n1\n/,
  );
});

test('a host endpoint that locks a node out is seen before it does', async () => {
  const files = withFiles();
  using session = files.session;
  const host = session.write(
    'host.yaml',
    `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n1}
spec: {node: n1, expectedIPs: [172.16.0.1]}
`,
  );
  const locked = await run(session, 'diff', '--against', files.pods, '-f', host);
  assert.match(
    locked.out,
    /before by nobody: no policy looks at it\n {2}after by ingress: the end of its profiles\n/,
  );
  assert.match(
    locked.out,
    /\n {4}TCP 79, 80; UDP 53, 67, 69; ICMP \(IPv4\): 3 pairs\n {6}shop\/db, shop\/web-1, shop\/web-2 -> host\/n1\n/,
  ); // and not the failsafe ports
  const freed = await run(session, 'diff', '--against', files.pods, host, '--delete', '-f', host);
  assert.match(freed.out, /would become allowed: [\s\S]*after by nobody: no policy looks at it\n/);
});

test('without anything to compare it says what it wants', async () => {
  using session = new CliSession();
  const outcome = await run(session, 'diff');
  assert.equal(outcome.code, 2);
  assert.match(outcome.notes, /want -f FILE/);
});
