// SPDX-License-Identifier: Apache-2.0
/** How controllers write: by the same rules as clients, and a refusal is theirs to live with until the next change. */
import type { JsonObject } from '../../model/types.ts';
import { ApiError } from '../objects/api-error.ts';
import { decode } from '../objects/decode.ts';
import type { ApiObject } from '../objects/object.ts';
import type { ServedResource } from '../objects/served-resource.ts';
import { type Serving, storedOf, viewOf } from '../serving.ts';
import { bear, replace, type Writing } from '../writes.ts';

const options = {
  dryRun: false,
  fieldManager: 'kube-controller-manager',
  fieldValidation: 'Ignore',
} as const;

export interface OwnWrite {
  readonly group: string;
  readonly plural: string;
  /** '' for what is in none. */
  readonly namespace: string;
  readonly body: JsonObject;
}

/** Makes it unless it is there. */
export function ensure(serving: Serving, { group, plural, namespace, body }: OwnWrite): void {
  const resource = serving.catalog.findAny(group, plural);
  if (!resource) return;
  const { object } = decode(resource, body, 'Ignore');
  if (storedOf(serving, resource, namespace, object.metadata.name)) return;
  tolerate(() => bear({ serving, resource, namespace, options }, object));
}

/** Makes it, or makes it so. */
export function put(serving: Serving, write: OwnWrite): void {
  const resource = serving.catalog.findAny(write.group, write.plural);
  if (!resource) return;
  const { object } = decode(resource, write.body, 'Ignore');
  const writing: Writing = { serving, resource, namespace: write.namespace, options };
  const live = storedOf(serving, resource, write.namespace, object.metadata.name);
  tolerate(() =>
    live
      ? replace(writing, { live: viewOf(resource, live), next: object, target: 'main' })
      : bear(writing, object),
  );
}

export function change(serving: Serving, resource: ServedResource, live: ApiObject, next: ApiObject): void {
  const namespace = resource.namespaced ? (live.metadata.namespace ?? '') : '';
  const writing: Writing = { serving, resource, namespace, options };
  tolerate(() => replace(writing, { live, next, target: 'main' }));
}

/** A namespace that ends, a name that was taken meanwhile. */
function tolerate(write: () => unknown): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}
