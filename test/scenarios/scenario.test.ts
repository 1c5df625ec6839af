// SPDX-License-Identifier: Apache-2.0
/** Every scenario of this folder, each in a lab of its own. test/support/scenario.ts says how they are written. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DataplaneName } from '../../src/contract/config.ts';
import type { DatastoreName } from '../../src/lab/spec.ts';
import { labTest } from '../support/lab-rig.ts';
import { parseScenario, play } from '../support/scenario.ts';

const folder = import.meta.dirname;

/** Each data plane, each datastore: what a node enforces follows from what is stored, wherever that is. */
const walls: readonly (readonly [DataplaneName, DatastoreName])[] = [
  ['nftables', 'embedded'],
  ['ebpf', 'embedded'],
  ['nftables', 'etcd'],
  ['ebpf', 'kubernetes'],
];

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  const scenario = parseScenario(readFileSync(join(folder, file), 'utf8'));
  for (const [dataplane, datastore] of walls) {
    const title = `${file}, ${dataplane} on ${datastore}: ${scenario.promise}`;
    labTest(title, { nodes: scenario.nodes, dataplane, datastore }, (lab) => play(scenario, lab, dataplane));
  }
}

test('a scenario is read as its promise, its lines with their numbers, and its files', () => {
  const text =
    '# A promise.\nlab nodes=2\n\napply a.yaml # why\n-- a.yaml --\nkind: A\n---\nkind: B\n-- b.nft --\nchain x {\n}\n';
  assert.deepEqual(parseScenario(text), {
    promise: 'A promise.',
    nodes: 2,
    lines: [{ number: 4, words: ['apply', 'a.yaml'] }],
    files: new Map([
      ['a.yaml', 'kind: A\n---\nkind: B\n'],
      ['b.nft', 'chain x {\n}\n'],
    ]),
  });
});
