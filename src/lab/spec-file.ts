// SPDX-License-Identifier: Apache-2.0
/** The file that says which lab runs. Apart from control.ts, so that a command that only reads does not load the kernel. */
import { existsSync, readFileSync } from 'node:fs';
import { NotFoundError } from '../lib/errors.ts';
import type { LabLayout } from './layout.ts';
import type { LabSpec } from './spec.ts';

/** @throws {NotFoundError} when no lab runs in that folder. */
export function readSpec(layout: LabLayout): LabSpec {
  if (!existsSync(layout.specFile)) {
    throw new NotFoundError(`no lab runs in ${layout.folder}; start one with: muslin lab up`);
  }
  const spec = JSON.parse(readFileSync(layout.specFile, 'utf8')) as LabSpec;
  // labs of before say nothing of these
  return { ...spec, dataplane: spec.dataplane ?? 'nftables', datastore: spec.datastore ?? 'embedded' };
}
