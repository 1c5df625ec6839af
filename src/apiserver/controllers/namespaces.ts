// SPDX-License-Identifier: Apache-2.0
/** A namespace that is being deleted is emptied; when nothing is left in it, it goes. */
import { listAt } from '../../model/json.ts';
import type { Json, JsonObject } from '../../model/types.ts';
import { collectionOf, collectionOfResource } from '../collection.ts';
import { type DeleteOptions, plainDeletion } from '../delete-options.ts';
import { withField } from '../object-meta.ts';
import type { ApiObject } from '../objects/object.ts';
import { removeObject } from '../remove.ts';
import type { Serving } from '../serving.ts';
import { Pass } from './pass.ts';

const namespaces = collectionOf('', 'namespaces');

/** No kubelet confirms the end of Pods here. */
const atOnce: DeleteOptions = { ...plainDeletion, gracePeriodSeconds: 0 };

export function emptyNamespaces(serving: Serving): () => void {
  const pass = new Pass(() => {
    for (const namespace of serving.store.list(namespaces)) {
      if (namespace.metadata.deletionTimestamp !== undefined) empty(serving, namespace);
    }
  });
  const end = serving.store.followAll(({ collection, type, object }) => {
    const isEnding = collection === namespaces && object.metadata.deletionTimestamp !== undefined;
    if (isEnding || type === 'DELETED') pass.plan();
  });
  pass.plan();
  return () => {
    pass.stop();
    end();
  };
}

function empty(serving: Serving, namespace: ApiObject): void {
  const { store, catalog } = serving;
  const { name } = namespace.metadata;
  let left = 0;
  for (const resource of catalog.all) {
    if (!resource.namespaced || !resource.verbs.includes('list')) continue;
    const collection = collectionOfResource(resource);
    for (const object of store.list(collection, name)) removeObject(serving, resource, object, atOnce);
    left += store.list(collection, name).length;
  }
  if (left === 0) finish(serving, namespace);
}

/** Those of others stay until they take their finalizers away. */
function finish({ store }: Serving, { metadata }: ApiObject): void {
  const current = store.get(namespaces, metadata.name);
  if (!current || current.metadata.uid !== metadata.uid) return;
  const others = (listAt(current, 'spec', 'finalizers') as readonly Json[]).filter(
    (finalizer) => finalizer !== 'kubernetes',
  );
  if (others.length === 0 && !current.metadata.finalizers?.length) {
    store.delete(namespaces, metadata.name);
    return;
  }
  const spec = { ...(current.spec as JsonObject), finalizers: others };
  const before = listAt(current, 'spec', 'finalizers').length;
  if (before !== others.length) store.put(namespaces, metadata.name, withField(current, 'spec', spec));
}
