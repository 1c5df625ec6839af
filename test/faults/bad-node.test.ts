// SPDX-License-Identifier: Apache-2.0
/** A node that cannot do its work says so by name and stays closed; what is stored wrongly stops nothing else. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { NftSocket } from '../../src/kernel/nft/socket.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { globalPolicy, pod } from '../support/resources.ts';

const refused = [/not all could be programmed/, /apply failed/];

labTest(
  'a node whose tables someone else owns says so, and stays closed',
  { nodes: 2, expectedErrors: refused },
  async (lab) => {
    await lab.put(
      pod('default/a', { node: 'node1', ports: ['80'] }),
      pod('default/b', { node: 'node1', ports: ['80'] }),
      pod('default/c', { node: 'node2', ports: ['80'] }),
      pod('default/d', { node: 'node2', ports: ['80'] }),
    );
    await lab.settle();
    assert.deepEqual(await reached(lab, 4), allPairs('abcd'), 'nothing is forbidden to begin with');

    process.kill(lab.daemonPid, 'SIGSTOP');
    process.kill(lab.agentPid('node1'), 'SIGKILL');
    const owner = lab.use(await takeTable(lab));
    process.kill(lab.daemonPid, 'SIGCONT');
    await lab.until(
      async () => (await lab.status('node1').catch(() => null))?.reasons.some(isRefusal) ?? false,
      'it says so',
    );
    const { code, out } = await lab.cli('lab', 'status');
    assert.equal(code, 8);
    assert.match(out, /^node1 +no /m);
    assert.match(out, /^node2 +yes /m);
    assert.match(out, /^node1: nftables all rules: .*(EPERM|not permitted)/m);

    await lab.put(pod('default/e', { node: 'node1', ports: ['80'] }));
    await lab.until(
      async () =>
        (await lab.store.get({ kind: 'Pod', namespace: 'default', name: 'e' })).resource.status !== undefined,
      'e runs',
    );
    assert.deepEqual(await reached(lab, 4), ['c d', 'd c'], 'only pairs of the other node');
    assert.deepEqual(
      (await reached(lab, 6)).filter((pair) => pair.includes('e')),
      [],
      'a pod that came meanwhile',
    );

    owner[Symbol.dispose]();
    await lab.until(
      async () => (await lab.health('node1', 'readiness')) === 204,
      'it is ready when the table is free',
    );
    await lab.settle();
    assert.deepEqual(await reached(lab, 4), allPairs('abcde'));
    assert.equal((await lab.cli('lab', 'status')).code, 0);
  },
);

labTest(
  'a BPF file system that was taken away is mounted again, and links are guarded anew',
  { nodes: 1 },
  async (lab) => {
    await lab.put(pod('default/a', { ports: ['80'] }), pod('default/b', { ports: ['80'] }));
    await lab.put(globalPolicy('b', { selector: 'all()', types: ['Ingress'], ingress: [] }));
    await lab.settle();
    const pid = lab.agentPid('node1');
    sys.umount(lab.layout.bpffs, MNT_DETACH);
    process.kill(pid, 'SIGKILL');
    await lab.until(() => lab.agentPid('node1') !== pid, 'the agent is started again');
    await lab.until(async () => (await lab.health('node1', 'readiness')) === 204, 'the agent is ready');
    assert.equal((await lab.status('node1')).openEndpoints.length, 2);
    assert.deepEqual(await reached(lab, 4), []);
  },
);

labTest(
  'what is stored wrongly is named, counts as absent, and stops nothing else',
  { nodes: 1 },
  async (lab) => {
    await lab.put(
      pod('default/a', { ports: ['80'] }),
      pod('default/b', { ports: ['80'], labels: { role: 'b' } }),
    );
    await lab.settle();
    const calico = (kind: string, name: string, spec: unknown) =>
      JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec });
    const wrong: readonly (readonly [string, string, string])[] = [
      [
        'GlobalNetworkPolicy',
        'no-selector',
        calico('GlobalNetworkPolicy', 'no-selector', { selector: 'role ==', types: ['Ingress'] }),
      ],
      ['GlobalNetworkPolicy', 'no-fields', '{}'],
      ['GlobalNetworkPolicy', 'a-list', '[]'],
      ['GlobalNetworkPolicy', 'a-text', '"policy"'],
      ['GlobalNetworkPolicy', 'no-json', '{"apiVersion": "projectcalico'],
      ['Tier', 'wrong-type', calico('Tier', 'wrong-type', { order: 'first' })],
    ];
    writeBehindBack(lab.layout.datastore, wrong);
    await lab.put(globalPolicy('right', { selector: "role == 'b'", types: ['Ingress'], ingress: [] }));
    await lab.settle();
    assert.deepEqual(await reached(lab, 4), ['b a'], 'the policy that is right is in force');
    const { code, out } = await lab.cli('lab', 'status');
    for (const [kind, name] of wrong)
      assert.match(out, new RegExp(`node1: ${kind}/${name} is not in force as written: `));
    assert.equal(code, 0, `the node does what it can\n${out}`);

    const pid = lab.agentPid('node1');
    process.kill(pid, 'SIGKILL'); // the same for an agent that finds them when it starts
    await lab.until(() => lab.agentPid('node1') !== pid, 'the agent is started again');
    await lab.until(async () => (await lab.health('node1', 'readiness')) === 204, 'the agent is ready');
    assert.deepEqual(await reached(lab, 4), ['b a']);
  },
);

function isRefusal(reason: string): boolean {
  return reason.startsWith('nftables all rules');
}

/** As soon as the dead agent's socket is closed the table is nobody's: another program takes its place. */
async function takeTable(lab: LabRig): Promise<NftSocket> {
  const socket = lab.node('node1').run(() => new NftSocket());
  const table = { family: 4, name: 'muslin' } as const;
  await lab.until(() => {
    try {
      socket.commit([
        { op: 'delete-table', table },
        { op: 'add-table', table, owned: true },
      ]);
      return true;
    } catch {
      return false;
    }
  }, 'the table is free');
  return socket;
}

/** `a b` for each pair that connects on TCP 80. */
async function reached(lab: LabRig, ipVersion: 4 | 6): Promise<string[]> {
  const options = ['--port', '80', '--ip-version', String(ipVersion), '--timeout', '300ms', '-o', 'json'];
  const { out } = await lab.cli('probe', ...options);
  const results = JSON.parse(out) as { from: string; to: string; allowed: boolean }[];
  const short = (name: string) => name.replace('default/', '');
  return results
    .filter(({ allowed }) => allowed)
    .map(({ from, to }) => `${short(from)} ${short(to)}`)
    .sort();
}

function allPairs(names: string): string[] {
  return [...names]
    .flatMap((from) => [...names].filter((to) => to !== from).map((to) => `${from} ${to}`))
    .sort();
}

/** Straight into the file, as no writer of ours would. */
function writeBehindBack(
  file: string,
  rows: readonly (readonly [kind: string, name: string, body: string])[],
): void {
  const db = new DatabaseSync(file, { timeout: 5000 });
  for (const [kind, name, body] of rows) {
    db.exec("BEGIN IMMEDIATE; UPDATE fact SET value = value + 1 WHERE name = 'revision'");
    const revision = Number(db.prepare("SELECT value FROM fact WHERE name = 'revision'").get()?.value);
    db.prepare('INSERT INTO resource VALUES (?, ?, ?, ?, ?)').run(kind, '', name, revision, body);
    db.prepare('INSERT INTO log (revision, kind, namespace, name, body) VALUES (?, ?, ?, ?, ?)').run(
      revision,
      kind,
      '',
      name,
      body,
    );
    db.exec('COMMIT');
  }
  db.close();
}
