// SPDX-License-Identifier: Apache-2.0
/** Run as a process of its own by embedded.test.ts, which kills it: writes tiers and prints each name once answered. */
import { writeSync } from 'node:fs';
import { EmbeddedStore } from '../../src/datastore/embedded/store.ts';

const store = new EmbeddedStore(process.argv[2] ?? '');
for (let i = 0; i < 10_000; i++) {
  const name = `t${process.pid}-${i}`;
  await store.create(
    { kind: 'Tier', name },
    { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name }, spec: { order: i } },
  );
  writeSync(1, `${name}\n`);
}
