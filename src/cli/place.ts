// SPDX-License-Identifier: Apache-2.0
/** Which store and which lab a command works on: `--datastore`, MUSLIN_DATASTORE, or the running lab's. */
import { existsSync } from 'node:fs';
import { EmbeddedStore } from '../datastore/embedded/store.ts';
import { defaultLabFolder, LabLayout } from '../lab/layout.ts';
import type { LabSpec } from '../lab/spec.ts';
import { readSpec } from '../lab/spec-file.ts';
import { NotFoundError, UnavailableError } from '../lib/errors.ts';
import type { Io } from './io.ts';

export interface PlaceOptions {
  readonly datastore?: string;
  readonly lab?: string;
}

export interface Place {
  readonly file: string;
  /** The lab that the store belongs to, if any: its nodes can be waited for. */
  readonly lab: { readonly layout: LabLayout; readonly spec: LabSpec } | null;
}

export function labLayout(options: PlaceOptions, io: Io): LabLayout {
  return new LabLayout(options.lab ?? defaultLabFolder(io.env));
}

/** What the command line names wins over the environment. @throws {UnavailableError} when there is neither a store nor a lab. */
export function findPlace(options: PlaceOptions, io: Io): Place {
  const file = options.datastore ?? (options.lab === undefined ? io.env.MUSLIN_DATASTORE : undefined);
  if (file !== undefined) return { file, lab: null };
  const layout = labLayout(options, io);
  if (!existsSync(layout.specFile)) {
    throw new UnavailableError(
      `no lab runs in ${layout.folder}, and no datastore was named; start one with: muslin lab up`,
    );
  }
  return { file: layout.datastore, lab: { layout, spec: readSpec(layout) } };
}

/** @throws {NotFoundError} when there is no lab. */
export function findLab(options: PlaceOptions, io: Io): { layout: LabLayout; spec: LabSpec } {
  const layout = labLayout(options, io);
  return { layout, spec: readSpec(layout) };
}

/** Reading commands make no file where none was. @throws {NotFoundError} {UnavailableError} */
export function openStore(place: Place, how: { readonly mayCreate: boolean }): EmbeddedStore {
  if (!how.mayCreate && !existsSync(place.file))
    throw new NotFoundError(`datastore ${place.file} does not exist`);
  return new EmbeddedStore(place.file);
}
