// SPDX-License-Identifier: Apache-2.0
/** What acts by itself beside the API: definitions always, the rest where it is asked for. */
import type { Serving } from '../serving.ts';
import { followDefinitions } from './definitions.ts';

export type ControllerName =
  /** Namespaces: the ServiceAccount `default`, the ConfigMap `kube-root-ca.crt`. */
  | 'service-accounts'
  /** A namespace that is deleted is emptied, then goes. */
  | 'namespaces'
  /** What has lost its last owner goes. */
  | 'garbage-collection'
  /** From Services and Pods. */
  | 'endpoint-slices';

/** @returns what stops them */
export function startControllers(
  serving: Serving,
  _names: readonly ControllerName[],
  _ca: string,
): () => void {
  return followDefinitions(serving);
}
