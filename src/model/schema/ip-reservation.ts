// SPDX-License-Identifier: Apache-2.0
/** IPReservation: addresses that are never handed out unasked. */
import { object, resource, setOf } from './fragments.ts';
import type { Schema } from './schema.ts';

export const ipReservation: Schema = resource(
  object({ reservedCIDRs: setOf({ type: 'string', format: 'cidr' }) }),
);
