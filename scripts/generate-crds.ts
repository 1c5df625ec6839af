// SPDX-License-Identifier: Apache-2.0
/** Writes manifests/crds.yaml from src/model/schema: `node scripts/generate-crds.ts`. A test says when it is out of date. */
import { writeFileSync } from 'node:fs';
import { crdsText } from '../src/model/schema/custom-resource-definitions.ts';

writeFileSync(new URL('../manifests/crds.yaml', import.meta.url), crdsText());
