// SPDX-License-Identifier: Apache-2.0
/**
 * Objects whose owners are all gone go too; what a deletion asked to be orphaned or to go last is seen to
 * (k8s.io/kubernetes/pkg/controller/garbagecollector).
 */
import { listAt, textAt } from '../../model/json.ts';
import type { Json } from '../../model/types.ts';
import { collectionOfResource } from '../collection.ts';
import { plainDeletion } from '../delete-options.ts';
import { withMetadata } from '../object-meta.ts';
import type { ApiObject } from '../objects/object.ts';
import type { ServedResource } from '../objects/served-resource.ts';
import { removeObject } from '../remove.ts';
import type { Serving } from '../serving.ts';
import { change } from './own-writes.ts';
import { Pass } from './pass.ts';

interface Known {
  readonly resource: ServedResource;
  readonly object: ApiObject;
}

const collectors = ['orphan', 'foregroundDeletion'];

export function collectGarbage(serving: Serving): () => void {
  const pass = new Pass(() => collect(serving), 100);
  const end = serving.store.followAll(({ type, object }) => {
    const waits = object.metadata.finalizers?.some((name) => collectors.includes(name));
    if (type === 'DELETED' || waits || object.metadata.ownerReferences?.length) pass.plan();
  });
  pass.plan();
  return () => {
    pass.stop();
    end();
  };
}

function collect(serving: Serving): void {
  const all = [...everything(serving)];
  const owners = new Map(all.map((known) => [known.object.metadata.uid ?? '', known]));
  const owned = all.filter(({ object }) => object.metadata.ownerReferences?.length);
  for (const known of owned)
    if (ownersOf(known.object).every((uid) => !owners.has(uid))) drop(serving, known);
  for (const owner of all) {
    if (owner.object.metadata.deletionTimestamp === undefined) continue;
    const mine = owned.filter(({ object }) => ownersOf(object).includes(owner.object.metadata.uid ?? ''));
    if (owner.object.metadata.finalizers?.includes('orphan')) orphan(serving, owner, mine);
    else if (owner.object.metadata.finalizers?.includes('foregroundDeletion'))
      foreground(serving, owner, mine);
  }
}

function* everything({ catalog, store }: Serving): Generator<Known> {
  const seen = new Set<string>();
  for (const resource of catalog.all) {
    const collection = collectionOfResource(resource);
    if (seen.has(collection)) continue;
    seen.add(collection);
    for (const object of store.list(collection)) yield { resource, object };
  }
}

function ownersOf(object: ApiObject): readonly string[] {
  return referencesOf(object).map((reference) => textAt(reference, 'uid'));
}

function referencesOf({ metadata }: ApiObject): readonly Json[] {
  return listAt(metadata, 'ownerReferences') as readonly Json[];
}

function drop(serving: Serving, { resource, object }: Known): void {
  removeObject(serving, resource, object, plainDeletion);
}

function orphan(serving: Serving, owner: Known, mine: readonly Known[]): void {
  for (const { resource, object } of mine) {
    const others = referencesOf(object).filter(
      (reference) => textAt(reference, 'uid') !== owner.object.metadata.uid,
    );
    change(
      serving,
      resource,
      object,
      withMetadata(object, { ownerReferences: others.length > 0 ? others : undefined }),
    );
  }
  release(serving, owner, 'orphan');
}

function foreground(serving: Serving, owner: Known, mine: readonly Known[]): void {
  for (const known of mine) drop(serving, known);
  const blocking = mine.filter(({ resource, object }) => {
    const key = resource.namespaced
      ? `${object.metadata.namespace}/${object.metadata.name}`
      : object.metadata.name;
    return serving.store.get(collectionOfResource(resource), key) !== null;
  });
  if (blocking.length === 0) release(serving, owner, 'foregroundDeletion');
}

function release(serving: Serving, { resource, object }: Known, finalizer: string): void {
  const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  change(serving, resource, object, withMetadata(object, { finalizers }));
}
