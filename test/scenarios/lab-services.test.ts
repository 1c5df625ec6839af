// SPDX-License-Identifier: Apache-2.0
/** What a lab gives services and processes, whatever data plane its nodes run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processIo } from '../../src/cli/io.ts';
import { run } from '../../src/cli/main.ts';
import type { NetNs } from '../../src/kernel/netns.ts';
import { probeAll } from '../../src/lab/prober.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { memberAt, textAt } from '../../src/model/json.ts';
import { labTest } from '../support/lab-rig.ts';
import { pod } from '../support/resources.ts';

const manifest = (spec: object) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'shop', name: 'web' }, spec });

labTest(
  'services get addresses and ports, keep them, and are said to be unbalanced by nftables',
  { nodes: 1 },
  async (lab) => {
    const file = join(lab.layout.folder, 'nodes', 'service.json');
    const stored = async () =>
      (await lab.store.get({ kind: 'Service', namespace: 'shop', name: 'web' })).resource;
    const spec = {
      type: 'NodePort',
      ipFamilyPolicy: 'PreferDualStack',
      selector: { app: 'web' },
      ports: [{ port: 80 }],
    };
    writeFileSync(file, manifest(spec));
    const first = await lab.cli('apply', '-f', file);
    assert.equal(first.code, 0, first.notes);
    assert.match(first.notes, /note: 1 service is kept but not balanced: the data plane is nftables/);
    assert.doesNotMatch(first.notes, /nothing acts on that yet/);
    const given = await stored();
    assert.deepEqual(memberAt(given, 'spec', 'clusterIPs'), ['10.96.1.0', 'fd96::100']);
    assert.deepEqual(memberAt(given, 'spec', 'ports'), [{ port: 80, nodePort: 30086 }]);
    writeFileSync(file, manifest({ ...spec, ports: [{ port: 80 }, { name: 'b', port: 81 }] }));
    assert.match((await lab.cli('apply', '-f', file)).out, /service\/shop\/web configured/);
    assert.equal(textAt(await stored(), 'spec', 'clusterIP'), '10.96.1.0');
    assert.deepEqual(memberAt(await stored(), 'spec', 'ports'), [
      { port: 80, nodePort: 30086 },
      { name: 'b', port: 81, nodePort: 30087 },
    ]);
    assert.match((await lab.cli('apply', '-f', file)).out, /service\/shop\/web unchanged/);
    const status = await lab.cli('lab', 'status');
    assert.match(status.out, /node1 +yes +nftables/);
    assert.match(status.notes, /1 service is kept but not balanced/);
  },
);

labTest(
  "a node's agent and what is run in its Pods are in a control group of the node's own",
  { nodes: 2 },
  async (lab) => {
    await lab.put(pod('default/a', { node: 'node2' }));
    await lab.settle();
    const groupOf = (pid: number | string) =>
      readFileSync(`/proc/${pid}/cgroup`, 'utf8')
        .split('\n')
        .find((line) => line.startsWith('0::'));
    const expected = (node: string) => `0::/${lab.layout.prefix}lab/${node}`;
    assert.equal(groupOf(lab.agentPid('node1')), expected('node1'));
    assert.equal(groupOf(lab.agentPid('node2')), expected('node2'));
    const before = groupOf('self');
    for (const [place, node] of [
      ['default/a', 'node2'],
      ['node/node1', 'node1'],
    ] as const) {
      const inside = `grep -qx '${expected(node)}' /proc/self/cgroup`;
      const words = ['lab', 'exec', '--lab', lab.layout.folder, place, '--', 'sh', '-c', inside];
      assert.equal(await run(words, processIo), 0, place);
    }
    assert.equal(groupOf('self'), before, 'who starts them is where he was');
  },
);

labTest(
  'with ebpf services are reached, a health check says where, and nobody says that they are not balanced',
  { nodes: 2, dataplane: 'ebpf' },
  async (lab) => {
    await lab.put(
      pod('default/client', { node: 'node1' }),
      pod('default/server', { node: 'node2', labels: { app: 'web' }, ports: ['8080'] }),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { namespace: 'default', name: 'web' },
        spec: {
          type: 'LoadBalancer',
          externalTrafficPolicy: 'Local',
          ipFamilyPolicy: 'PreferDualStack',
          clusterIPs: ['10.96.0.7', 'fd96::7'],
          healthCheckNodePort: 32100,
          selector: { app: 'web' },
          ports: [{ port: 80, targetPort: 8080, nodePort: 30100 }],
        },
      },
    );
    await lab.settle();
    const netns = lab.layout.podNetns('default', 'client');
    const reached = await probeAll(
      ['10.96.0.7', 'fd96::7'].map((text) => ({
        netns,
        address: parseAddress(text),
        port: 80,
        protocol: 'TCP' as const,
      })),
      { timeoutMs: 3000 },
    );
    assert.deepEqual(
      reached.map(({ allowed, note }) => ({ allowed, note })),
      Array(2).fill({ allowed: true, note: null }),
    );
    assert.match(healthOf(lab.node('node1')), /^HTTP\/1.1 503 .*x-load-balancing-endpoint-weight: 0/is);
    assert.match(
      healthOf(lab.node('node2')),
      /^HTTP\/1.1 200 .*"localEndpoints":1,"serviceProxyHealthy":true/s,
    );
    const status = await lab.cli('lab', 'status');
    assert.match(status.out, /node1 +yes +ebpf/);
    assert.doesNotMatch(status.notes, /not balanced/);
  },
);

function healthOf(node: NetNs): string {
  const ask = "exec 3<>/dev/tcp/127.0.0.1/32100; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
  return node.run(() => spawnSync('bash', ['-c', ask], { encoding: 'utf8', timeout: 5000 })).stdout;
}
