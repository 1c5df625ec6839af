// SPDX-License-Identifier: Apache-2.0
/** NetworkSet and GlobalNetworkSet: addresses under labels. */
import { object, resource, setOf } from './fragments.ts';
import type { Schema } from './schema.ts';

export const networkSet: Schema = resource(object({ nets: setOf({ type: 'string', format: 'any-net' }) }));
