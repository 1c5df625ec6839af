// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datastore, Stored, Write } from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import { InvalidError, PartialWriteError, UnsupportedError } from '../lib/errors.ts';
import { writeWhole } from './write-parts.ts';

const writes = (count: number): Write[] =>
  Array.from({ length: count }, (_, i) => ({
    op: 'create',
    key: { kind: 'Tier', name: `t${i}` },
    resource: { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name: `t${i}` } },
  }));

/** As an etcd with its limit: no more than 128, and nothing named as `refused`. */
function limited(refused = ''): Pick<Datastore, 'writeAll'> & { readonly sizes: number[] } {
  const sizes: number[] = [];
  return {
    sizes,
    writeAll: async (all) => {
      if (all.length > 128) throw new UnsupportedError('too many objects for one transaction');
      if (all.some(({ key }) => key.name === refused)) throw new InvalidError('refused');
      sizes.push(all.length);
      return all.flatMap((write): Stored[] =>
        write.op === 'delete'
          ? []
          : [{ key: write.key, resource: write.resource, revision: '1' as Revision }],
      );
    },
  };
}

test('what fits is one transaction; what does not is several, and nothing is lost', async () => {
  const small = limited();
  await writeWhole(small as unknown as Datastore, writes(128));
  assert.deepEqual(small.sizes, [128]);
  const large = limited();
  const stored = await writeWhole(large as unknown as Datastore, writes(250));
  assert.deepEqual(large.sizes, [100, 100, 50]);
  assert.deepEqual(
    stored.map(({ key }) => key.name),
    writes(250).map(({ key }) => key.name),
  );
});

test('a refusal in the middle says how much was written', async () => {
  const store = limited('t150') as unknown as Datastore;
  await assert.rejects(writeWhole(store, writes(250)), (error) => {
    assert.ok(error instanceof PartialWriteError);
    assert.match(error.message, /refused; 100 of 250 objects were written before/);
    return true;
  });
  await assert.rejects(writeWhole(limited('t50') as unknown as Datastore, writes(250)), InvalidError);
});
