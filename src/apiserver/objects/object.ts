// SPDX-License-Identifier: Apache-2.0
/** Objects as the Kubernetes API carries them: JSON with a type and metadata. */
import type { Json, JsonObject } from '../../model/types.ts';

export type ApiObject = JsonObject & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
};

export type ObjectMeta = JsonObject & {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: { readonly [key: string]: string };
  readonly annotations?: { readonly [key: string]: string };
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly Json[];
  readonly managedFields?: readonly Json[];
  readonly generateName?: string;
};
