// SPDX-License-Identifier: Apache-2.0
/** ClusterInformation: what the cluster is, and whether its datastore may be used. */
import { anyText, flag, object, resource } from './fragments.ts';
import type { Schema } from './schema.ts';

export const clusterInformation: Schema = resource(
  object({
    clusterGUID: anyText,
    clusterType: anyText,
    calicoVersion: anyText,
    variant: anyText,
    datastoreReady: flag,
  }),
);
