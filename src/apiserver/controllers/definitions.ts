// SPDX-License-Identifier: Apache-2.0
/**
 * CustomResourceDefinitions take effect: their resources are served, their conditions told, and when one is deleted its
 * objects go first. Always on: without it the API has no custom resources.
 */
import { listAt, textAt } from '../../model/json.ts';
import type { JsonObject } from '../../model/types.ts';
import { collectionOf, keyOf } from '../collection.ts';
import { plainDeletion } from '../delete-options.ts';
import { withMetadata } from '../object-meta.ts';
import { established } from '../objects/builtin/custom-resource-definition.ts';
import { customResources } from '../objects/custom-resources.ts';
import type { ApiObject } from '../objects/object.ts';
import { definitionFinalizer, removeObject } from '../remove.ts';
import type { Serving } from '../serving.ts';

const definitions = collectionOf('apiextensions.k8s.io', 'customresourcedefinitions');

export function followDefinitions(serving: Serving): () => void {
  for (const definition of serving.store.list(definitions)) follow(serving, definition);
  return serving.store.follow(definitions, ({ type, object }) => {
    if (type === 'DELETED') serving.catalog.serve(object.metadata.name, []);
    else follow(serving, object);
  });
}

function follow(serving: Serving, definition: ApiObject): void {
  serving.catalog.serve(definition.metadata.name, customResources(definition));
  if (definition.metadata.deletionTimestamp !== undefined) empty(serving, definition);
  else if (!isEstablished(definition)) queueMicrotask(() => establish(serving, definition));
}

function isEstablished(definition: ApiObject): boolean {
  const found = listAt(definition, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type') === 'Established',
  );
  return textAt(found, 'status') === 'True' && sameNames(definition);
}

function sameNames(definition: ApiObject): boolean {
  const accepted = (definition.status as JsonObject | undefined)?.acceptedNames;
  return JSON.stringify(accepted) === JSON.stringify((definition.spec as JsonObject).names);
}

/** Of the present state: another write may have come since. */
function establish({ store }: Serving, { metadata: { name, uid } }: ApiObject): void {
  const definition = store.get(definitions, name);
  if (definition?.metadata.uid !== uid || !definition || isEstablished(definition)) return;
  store.put(definitions, name, established(definition, new Date()));
}

/** Its objects go, those with finalizers when their owners let them; then the definition. */
function empty(serving: Serving, definition: ApiObject): void {
  const { store, catalog } = serving;
  if (!definition.metadata.finalizers?.includes(definitionFinalizer)) return;
  const resource = customResources(definition)[0];
  const collection = collectionOf(
    textAt(definition, 'spec', 'group'),
    textAt(definition, 'spec', 'names', 'plural'),
  );
  queueMicrotask(() => {
    if (resource)
      for (const object of store.list(collection)) removeObject(serving, resource, object, plainDeletion);
    if (store.list(collection).length === 0) finish();
    else {
      const end = store.follow(collection, () => {
        if (store.list(collection).length > 0) return;
        end();
        finish();
      });
    }
  });
  const finish = () => {
    const current = store.get(definitions, keyOf('', definition.metadata.name));
    const finalizers = current?.metadata.finalizers?.filter((name) => name !== definitionFinalizer) ?? [];
    catalog.serve(definition.metadata.name, []);
    if (current && finalizers.length > 0)
      store.put(definitions, current.metadata.name, withMetadata(current, { finalizers }));
    else store.delete(definitions, definition.metadata.name);
  };
}
