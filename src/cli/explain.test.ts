// SPDX-License-Identifier: Apache-2.0
/** `explain` where nodes have a say: host endpoints, the nodes themselves, staged policies, services, ports by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 172.16.0.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
status: {addresses: [{type: InternalIP, address: 172.16.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c, image: i}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c, image: i, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIP: 10.0.0.2}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: 5432, protocol: TCP}]
endpoints: [{addresses: [10.0.0.2]}]
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n2-up, labels: {face: up}}
spec: {node: n2, interfaceName: eth0, expectedIPs: [172.16.0.2], ports: [{name: api, protocol: TCP, port: 6000}]}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: a-n2-side, labels: {face: side}}
spec: {node: n2, interfaceName: eth1}
`;

const forward = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: no-forward}
spec:
  selector: face == "up"
  applyOnForward: true
  ingress: [{action: Deny, protocol: TCP, destination: {ports: [5432]}}, {action: Allow}]
`;

const staged = `
apiVersion: projectcalico.org/v3
kind: StagedNetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  selector: app == "db"
  ingress:
    - action: Deny
`;

async function explain(texts: readonly string[], ...args: readonly string[]): Promise<string> {
  using session = new CliSession();
  for (const [i, text] of [manifests, ...texts].entries()) {
    const applied = await session.run(['apply', '-f', session.write(`${i}.yaml`, text)]);
    assert.equal(applied.code, 0, applied.notes.join('\n'));
  }
  const { code, out, notes } = await session.run(['explain', ...args]);
  const text = code === 0 ? out : `exit ${code}: ${notes.join('\n')}`;
  return text.replaceAll(`${session.folder}/`, '');
}

test("between nodes the destination's uplink has a say; which endpoint that is, is said", async () => {
  const pair = ['--from', 'shop/web', '--to', 'shop/db', '--port', 'pg'];
  assert.equal(
    await explain([forward], ...pair),
    `shop/web (10.0.0.1) -> shop/db (10.0.0.2), TCP port 5432: denied
uplink of n2: host endpoint n2-up, as it expects the node's address

egress of shop/web: allowed
  profile kns.shop: rule 0 allows

ingress at n2, host endpoint n2-up, forwarded: denied
  tier default
    GlobalNetworkPolicy/no-forward: rule 0 denies  (1.yaml:8)

ingress of shop/db: allowed
  profile kns.shop: rule 0 allows
`,
  );
  assert.match(
    await explain([forward], ...pair, '--uplink', 'eth1'),
    /5432: allowed\nuplink of n2: host endpoint a-n2-side, as it polices eth1/,
  );
  assert.match(
    await explain([forward], '--from', '192.0.2.1', '--to', 'shop/db', '--port', 'pg'),
    /: denied\n/,
  );
});

test('a node itself, by name or address: its own traffic, its setting, its workloads', async () => {
  const normal = await explain([], '--from', 'host/n1', '--to', '172.16.0.2', '--port', 'api');
  assert.match(normal, /host\/n1 \(172\.16\.0\.1\) -> 172\.16\.0\.2, TCP port 6000: denied/);
  assert.match(
    normal,
    /ingress at n2, host endpoint n2-up, its own traffic: denied\n {2}no profile matched: denied/,
  );
  assert.doesNotMatch(normal, /is no pod/);
  const ssh = await explain([], '--from', 'host/n1', '--to', 'host/n2', '--port', '22');
  assert.match(ssh, /: allowed\n[\s\S]*an inbound failsafe port: open before any policy/);
  const own = await explain([], '--from', 'shop/web', '--to', 'host/n1', '--port', '80');
  assert.match(own, /: denied\n[\s\S]*node n1: denied by the node's setting defaultEndpointToHostAction/);
  const probe = await explain([], '--from', 'host/n1', '--to', 'shop/web', '--port', '80');
  assert.match(
    probe,
    /: allowed\n[\s\S]*node n1: allowed by the node, which always reaches its own workloads\n$/,
  );
  assert.match(
    await explain([], '--from', 'host/n1', '--to', 'host/n1', '--port', '80'),
    /both ends are one node/,
  );
  assert.match(
    await explain([], '--from', 'host/n3', '--to', 'shop/db', '--port', '80'),
    /^exit 3: .*n1, n2/,
  );
});

test('what staged policies would do, by rule and line', async () => {
  const pair = ['--from', 'shop/web', '--to', 'shop/db', '--port', '80'];
  const text = await explain([staged], ...pair);
  assert.match(text, /TCP port 80: allowed\n/);
  assert.match(
    text,
    /\n\nwith staged policies in force: denied by StagedNetworkPolicy\/shop\/db rule 0 \(1\.yaml:8\)\n$/,
  );
  const json = JSON.parse(await explain([staged], ...pair, '-o', 'json'));
  assert.deepEqual([json.allowed, json.pending.allowed, json.pending.ingress.verdict], [true, false, 'deny']);
  assert.deepEqual(
    json.uplinks.map((each: { endpoint: string }) => each.endpoint),
    ['HostEndpoint/n2-up'],
  );
  assert.doesNotMatch(
    await explain([staged], '--from', 'shop/db', '--to', 'shop/web', '--port', '80'),
    /staged/,
  );
});

test('a rule about a service means its endpoints', async () => {
  const policy = `
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: app == "web"
  egress: [{action: Allow, destination: {services: {name: db}}}]
`;
  const to = (port: string) => explain([policy], '--from', 'shop/web', '--to', 'shop/db', '--port', port);
  assert.match(await to('5432'), /: allowed\n[\s\S]*NetworkPolicy\/shop\/web: rule 0 allows/);
  assert.match(await to('5433'), /: denied\n/);
});

test("a port's name that the destination does not have is told with those that it has", async () => {
  const to = (...args: string[]) => explain([], '--from', 'shop/web', '--to', 'shop/db', ...args);
  assert.match(await to('--port', 'nope'), /^exit 3: .*no port named nope, want one of: pg \(TCP\)/);
  assert.match(await to('--port', 'pg', '--protocol', 'UDP'), /^exit 3: .*pg \(TCP\)/);
  assert.match(
    await explain([], '--from', 'shop/db', '--to', '192.0.2.1', '--port', 'pg'),
    /^exit 3: .*names none/,
  );
});

test('what was stored behind our back and says nothing of itself is left out', async () => {
  const { clusterOf } = await import('./evaluators/cluster.ts');
  const junk = [
    {},
    { apiVersion: 'v1', kind: 'Pod' },
    { apiVersion: 'x/v1', kind: 'Y', metadata: { name: 'z' } },
  ];
  assert.equal(clusterOf(junk as never).faults.length, 3);
});
