// SPDX-License-Identifier: Apache-2.0
/** LiveMigration: a workload that moves from one node to another. */
import { anyText, object, resource } from './fragments.ts';
import type { Schema } from './schema.ts';

const identifiers = { hostname: anyText, orchestratorID: anyText, workloadID: anyText };
const endpoint: Schema = object({ ...identifiers, endpointID: anyText });

export const liveMigration: Schema = resource(
  object({
    source: object(
      { workload: object(identifiers), workloadEndpoint: endpoint },
      { minProperties: 1, maxProperties: 1 },
    ),
    target: object(
      { selector: { type: 'string', format: 'selector' }, workloadEndpoint: endpoint },
      { minProperties: 1, maxProperties: 1 },
    ),
  }),
);
