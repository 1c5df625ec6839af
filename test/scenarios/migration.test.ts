// SPDX-License-Identifier: Apache-2.0
/** A cluster on etcd is locked, exported, imported into a Kubernetes API and unlocked: both enforce the same. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type LabRig, labTest } from '../support/lab-rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'muslin-migration-'));
after(() => rmSync(folder, { recursive: true }));

const exported = join(folder, 'export.yaml');
const demo = new URL('../../examples/demo/', import.meta.url).pathname;
let before: Findings | null = null;

interface Findings {
  /** By protocol and port: what `probe` prints. */
  readonly matrices: readonly string[];
  readonly addresses: readonly string[];
}

labTest('a cluster on etcd is exported', { nodes: 3, datastore: 'etcd' }, async (lab) => {
  await done(lab, 'apply', '-f', join(demo, 'workloads.yaml'));
  await done(lab, 'apply', '-f', join(demo, 'policies'));
  await lab.settle();
  before = await findings(lab);
  await done(lab, 'datastore', 'migrate', 'lock');
  writeFileSync(exported, await done(lab, 'datastore', 'migrate', 'export'));
  await done(lab, 'datastore', 'migrate', 'unlock');
});

labTest(
  'imported into a Kubernetes API it runs the same Pods under the same addresses, and enforces the same',
  { nodes: 3, datastore: 'kubernetes' },
  async (lab) => {
    await done(lab, 'datastore', 'migrate', 'lock');
    await done(lab, 'datastore', 'migrate', 'import', '-f', exported);
    await done(lab, 'datastore', 'migrate', 'unlock');
    await lab.settle();
    assert.deepEqual(await findings(lab), before);
  },
);

async function findings(lab: LabRig): Promise<Findings> {
  const matrices: string[] = [];
  for (const port of ['80', '8080', '5432', '9000'])
    matrices.push(await done(lab, 'probe', '--against-policy', '--port', port, '--timeout', '300ms'));
  const { items } = await lab.store.list('Pod');
  const addresses = items.map(({ key, resource }) => {
    const { podIPs } = resource.status as { podIPs: readonly { ip: string }[] };
    return `${key.namespace}/${key.name} ${podIPs.map(({ ip }) => ip)}`;
  });
  return { matrices, addresses };
}

async function done(lab: LabRig, ...words: readonly string[]): Promise<string> {
  const { code, out, notes } = await lab.cli(...words);
  assert.equal(code, 0, `muslin ${words.join(' ')}: ${out}${notes}`);
  return out;
}
