// SPDX-License-Identifier: Apache-2.0
/** What every request works with: the store, what is served, clock and chance. */
import { randomInt, randomUUID } from 'node:crypto';
import type { Catalog } from './catalog.ts';
import { collectionOf, collectionOfResource, keyOf } from './collection.ts';
import { sameJson } from './object-meta.ts';
import { eventAs } from './objects/builtin/coordination.ts';
import type { ApiObject } from './objects/object.ts';
import type { RequestContext, ServedResource } from './objects/served-resource.ts';
import type { ApiStore } from './store.ts';

export interface Serving {
  readonly store: ApiStore;
  readonly catalog: Catalog;
  /** Where Services get their addresses and ports. */
  readonly services: RequestContext['services'];
  /** Milliseconds between bookmarks of a watch, when there is news. */
  readonly bookmarkInterval: number;
}

/** Those that generateName uses (k8s.io/apimachinery/pkg/util/rand): no vowels, so no words. */
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789';

export function contextOf({ store, services }: Serving): RequestContext {
  return {
    now: new Date(),
    newUid: () => randomUUID(),
    newSuffix: (length) =>
      Array.from({ length }, () => suffixLetters[randomInt(suffixLetters.length)]).join(''),
    lookup: (group, plural, namespace, name) =>
      store.get(collectionOf(group, plural), keyOf(namespace, name)),
    list: (group, plural) => store.list(collectionOf(group, plural)),
    services,
  };
}

/** As it is stored; null: there is none. */
export function storedOf(
  { store }: Serving,
  resource: ServedResource,
  namespace: string,
  name: string,
): ApiObject | null {
  return store.get(collectionOfResource(resource), keyOf(namespace, name));
}

/** What is written to the store of an object in the form of `resource`. */
export function storedForm(resource: ServedResource, object: ApiObject): ApiObject {
  return resource.group === 'events.k8s.io' ? eventAs('', object) : object;
}

const views = new WeakMap<ServedResource, WeakMap<ApiObject, ApiObject>>();

/** A stored object in the version that was asked for, with the defaults that its definition has by now. */
export function viewOf(resource: ServedResource, stored: ApiObject): ApiObject {
  if (resource.group === 'events.k8s.io') return eventAs('events.k8s.io', stored);
  if (!resource.custom) return stored;
  const known = views.get(resource) ?? new WeakMap<ApiObject, ApiObject>();
  views.set(resource, known);
  const found = known.get(stored) ?? customView(resource, stored);
  known.set(stored, found);
  return found;
}

/** The stored one itself where it is no different, so that it is kept once. */
function customView(resource: ServedResource, stored: ApiObject): ApiObject {
  const apiVersion = `${resource.group}/${resource.version}`;
  const view = resource.rules.fillIn({ ...stored, apiVersion });
  return sameJson(view, stored) ? stored : view;
}
