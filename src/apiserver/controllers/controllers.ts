// SPDX-License-Identifier: Apache-2.0
/** What acts by itself beside the API: definitions always, the rest where it is asked for. */
import type { Serving } from '../serving.ts';
import { followDefinitions } from './definitions.ts';
import { followServices } from './endpoint-slices.ts';
import { collectGarbage } from './garbage-collection.ts';
import { emptyNamespaces } from './namespaces.ts';
import { furnishNamespaces } from './service-accounts.ts';

export type ControllerName =
  /** Namespaces: the ServiceAccount `default`, the ConfigMap `kube-root-ca.crt`. */
  | 'service-accounts'
  /** A namespace that is deleted is emptied, then goes. */
  | 'namespaces'
  /** What has lost its last owner goes. */
  | 'garbage-collection'
  /** From Services and Pods. */
  | 'endpoint-slices';

export const controllerNames: readonly ControllerName[] = [
  'service-accounts',
  'namespaces',
  'garbage-collection',
  'endpoint-slices',
];

type Start = (serving: Serving, ca: string) => () => void;

const starts: { readonly [name in ControllerName]: Start } = {
  'service-accounts': furnishNamespaces,
  namespaces: emptyNamespaces,
  'garbage-collection': collectGarbage,
  'endpoint-slices': followServices,
};

/** @returns what stops them */
export function startControllers(serving: Serving, names: readonly ControllerName[], ca: string): () => void {
  const stops = [followDefinitions(serving), ...names.map((name) => starts[name](serving, ca))];
  return () => {
    for (const stop of stops) stop();
  };
}
