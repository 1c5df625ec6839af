// SPDX-License-Identifier: Apache-2.0
/** Every scenario of this folder, each in a lab of its own. test/support/scenario.ts says how they are written. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dataplaneNames } from '../../src/contract/config.ts';
import { labTest } from '../support/lab-rig.ts';
import { parseScenario, play } from '../support/scenario.ts';

const folder = import.meta.dirname;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  const scenario = parseScenario(readFileSync(join(folder, file), 'utf8'));
  for (const dataplane of dataplaneNames) {
    const title = `${file}, ${dataplane}: ${scenario.promise}`;
    labTest(title, { nodes: scenario.nodes, dataplane }, (lab) => play(scenario, lab, dataplane));
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
