// SPDX-License-Identifier: Apache-2.0
import type { Resource } from '../model/types.ts';

/** Without what another cluster gives anew: uid, time of birth, versions. */
export function withoutIdentity(resource: Resource): Resource {
  const {
    uid: _,
    creationTimestamp: __,
    resourceVersion: ___,
    generation: ____,
    ...metadata
  } = resource.metadata;
  return { ...resource, metadata };
}
