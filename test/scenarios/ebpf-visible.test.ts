// SPDX-License-Identifier: Apache-2.0
/** `muslin ebpf` and `muslin flows` asked of the agents of a lab, through socket and worker. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labTest } from '../support/lab-rig.ts';
import { pod } from '../support/resources.ts';

const policy = JSON.stringify({
  apiVersion: 'projectcalico.org/v3',
  kind: 'NetworkPolicy',
  metadata: { namespace: 'default', name: 'db' },
  spec: {
    selector: 'app == "db"',
    types: ['Ingress'],
    ingress: [
      {
        action: 'Allow',
        protocol: 'TCP',
        source: { selector: 'app == "web"' },
        destination: { ports: [80] },
      },
      { action: 'Deny' },
    ],
  },
});

labTest(
  'what a node of eBPF did with packets is seen from outside, with names',
  { nodes: 2, dataplane: 'ebpf' },
  async (lab) => {
    await lab.put(
      pod('default/web', { node: 'node1', labels: { app: 'web' } }),
      pod('default/db', { node: 'node2', labels: { app: 'db' } }),
    );
    await lab.settle();
    const file = join(lab.layout.folder, 'nodes', 'policy.json');
    writeFileSync(file, policy);
    assert.equal((await lab.cli('apply', '-f', file)).code, 0);
    const asked = async (...words: readonly string[]) => {
      const { code, out, notes } = await lab.cli(...words);
      assert.equal(code, 0, notes);
      return out;
    };
    for (const port of ['80', '81'])
      await asked(
        'probe',
        '--from',
        'default/web',
        '--to',
        'default/db',
        '--port',
        port,
        '--ip-version',
        '4',
      );
    const denied = JSON.parse(await asked('flows', '--node', 'node2', '--denied', '-o', 'json'));
    const [record] = denied[0].flows;
    assert.deepEqual([denied[0].node, record.dst.port, record.reason], ['node2', 81, 'policy']);
    assert.deepEqual(record.trace, [
      {
        endpoint: { id: record.dst.endpoint.id, name: 'default/db' },
        rule: 'NetworkPolicy/default/db ingress rule 1',
      },
    ]);
    const flows = await asked('flows', '--endpoint', 'web');
    assert.match(flows, /^NODE +TIME.*\nnode1 .*allow +TCP +default\/web .*:80 /);
    assert.match(await asked('ebpf', 'conntrack', '--endpoint', 'db'), / default\/db .*ingress rule 0\n$/);
    assert.match(await asked('ebpf', 'links'), /node1 +cali\w+ +workload +default\/web +yes/);
    assert.match(await asked('ebpf', 'routes', '--node', 'node1'), /workload,local,pool +default\/web/);
    assert.match(await asked('ebpf', 'ipsets'), /node2 .*app == "web"/);
    assert.match(
      await asked('ebpf', 'counters', '--node', 'node2'),
      /policy +[12] .*\n(.*\n)*[12] +NetworkPolicy\/default\/db/,
    );
    assert.match(await asked('ebpf', 'policy', 'dump', 'db'), /rule 1 {3}\([12] hits?\)\n {6}/);
    assert.equal((await lab.cli('ebpf', 'policy', 'dump', 'nobody')).code, 3);
  },
);

labTest('a node of another data plane says what it has not', { nodes: 1 }, async (lab) => {
  for (const words of [['ebpf', 'conntrack'], ['flows'], ['flows', '--follow']]) {
    const { code, notes } = await lab.cli(...words);
    assert.deepEqual([code, /data plane is nftables, want ebpf/.test(notes)], [1, true], notes);
  }
});
