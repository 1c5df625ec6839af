// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ApiObject } from './objects/object.ts';
import { ApiStore, type Change } from './store.ts';

const base = mkdtempSync(join(tmpdir(), 'muslin-store-'));
let folders = 0;

after(() => rmSync(base, { recursive: true, force: true }));

function folder(): string {
  return join(base, String(folders++));
}

function object(name: string, value = ''): ApiObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n' }, data: { value } };
}

function named(objects: readonly ApiObject[]): readonly string[] {
  return objects.map(({ metadata }) => metadata.name);
}

function put(store: ApiStore, name: string, value = ''): number {
  return Number(store.put('/configmaps', `n/${name}`, object(name, value)).metadata.resourceVersion);
}

test('one rising revision over all collections, which objects carry', () => {
  const store = new ApiStore();
  const first = put(store, 'a');
  store.put('/secrets', 'n/a', object('a'));
  assert.equal(put(store, 'a', '2'), first + 2);
  assert.equal(store.revision, first + 2);
  assert.equal(store.delete('/configmaps', 'n/a')?.metadata.resourceVersion, String(first + 3));
  assert.equal(store.delete('/configmaps', 'n/a'), null);
  assert.equal(store.revision, first + 3);
});

test('lists are in order, of one namespace too', () => {
  const store = new ApiStore();
  for (const key of ['b/x', 'a/y', 'a-b/z', 'a/x', 'ab/x']) store.put('/pods', key, object(key));
  assert.deepEqual(named(store.list('/pods')), ['a-b/z', 'a/x', 'a/y', 'ab/x', 'b/x']);
  assert.deepEqual(named(store.list('/pods', 'a')), ['a/x', 'a/y']);
  assert.deepEqual(named(store.list('/pods', 'none')), []);
});

test('a list at an older revision is what stood then', () => {
  const store = new ApiStore();
  put(store, 'a', '1');
  const then = put(store, 'b', '1');
  put(store, 'a', '2');
  put(store, 'c');
  store.delete('/configmaps', 'n/b');
  const listed = store.listAt('/configmaps', 'n', then);
  assert.deepEqual(
    listed.map(({ metadata, data }) => [metadata.name, data]),
    [
      ['a', { value: '1' }],
      ['b', { value: '1' }],
    ],
  );
});

test('followers hear every change once, in order, with what was before', () => {
  const store = new ApiStore();
  const heard: Change[] = [];
  const end = store.follow('/configmaps', (change) => heard.push(change));
  put(store, 'a', '1');
  put(store, 'a', '2');
  store.put('/secrets', 'n/s', object('s'));
  store.delete('/configmaps', 'n/a');
  end();
  put(store, 'b');
  assert.deepEqual(
    heard.map(({ type, object: { data }, previous }) => [type, data, previous?.data ?? null]),
    [
      ['ADDED', { value: '1' }, null],
      ['MODIFIED', { value: '2' }, { value: '1' }],
      ['DELETED', { value: '2' }, { value: '2' }],
    ],
  );
});

test('compaction forgets changes and keeps objects', () => {
  const store = new ApiStore();
  put(store, 'a', '1');
  const kept = put(store, 'a', '2');
  const last = put(store, 'a', '3');
  store.compact(kept);
  assert.equal(store.compactedRevision, kept);
  assert.deepEqual(
    store.changesAfter('/configmaps', kept).map(({ revision }) => revision),
    [last],
  );
  assert.deepEqual(store.get('/configmaps', 'n/a')?.data, { value: '3' });
});

test('an object above 1.5 MiB is refused, and nothing has changed', () => {
  const store = new ApiStore({ folder: folder() });
  const { revision } = store;
  assert.throws(() => put(store, 'a', 'x'.repeat(1_600_000)), /request is too large/);
  assert.deepEqual([store.revision, store.list('/configmaps')], [revision, []]);
});

test('loaded from its journal it is what it was, and changes since are known', () => {
  const place = folder();
  const store = new ApiStore({ folder: place });
  const first = put(store, 'a', '1');
  put(store, 'b', '1');
  put(store, 'a', '2');
  store.delete('/configmaps', 'n/b');
  store.close();
  const loaded = new ApiStore({ folder: place });
  assert.equal(loaded.revision, store.revision);
  assert.deepEqual(loaded.list('/configmaps'), store.list('/configmaps'));
  assert.deepEqual(loaded.changesAfter('/configmaps', first), store.changesAfter('/configmaps', first));
});

test('a journal cut at any byte loads what was written whole, and goes on', () => {
  const place = folder();
  const store = new ApiStore({ folder: place });
  const ends = [statSync(join(place, 'journal')).size];
  for (let number = 0; number < 5; number++) {
    put(store, `c${number}`, 'é');
    ends.push(statSync(join(place, 'journal')).size);
  }
  store.close();
  const bytes = readFileSync(join(place, 'journal'));
  for (let size = ends[0] ?? 0; size <= bytes.length; size++) {
    writeFileSync(join(place, 'journal'), bytes.subarray(0, size));
    const loaded = new ApiStore({ folder: place });
    const whole = ends.filter((end) => end <= size).length - 1;
    assert.equal(loaded.list('/configmaps').length, whole, `cut at ${size}`);
    put(loaded, 'next');
    loaded.close();
    assert.equal(new ApiStore({ folder: place }).list('/configmaps').length, whole + 1);
  }
});

test('a journal that has grown is rewritten: smaller, with the same objects and no past', () => {
  const place = folder();
  const store = new ApiStore({ folder: place });
  put(store, 'other');
  for (let number = 0; number < 40; number++) put(store, 'a', `${number}${'x'.repeat(500_000)}`);
  store.close();
  assert.ok(statSync(join(place, 'journal')).size < 17 << 20);
  const loaded = new ApiStore({ folder: place });
  assert.equal(loaded.revision, store.revision);
  assert.deepEqual(loaded.list('/configmaps'), store.list('/configmaps'));
  assert.ok(loaded.compactedRevision > 1);
});

test('a file that no server wrote is refused with its line', () => {
  const place = folder();
  new ApiStore({ folder: place }).close();
  appendFileSync(join(place, 'journal'), 'hello\n');
  assert.throws(() => new ApiStore({ folder: place }), /journal:2: want a list/);
});
