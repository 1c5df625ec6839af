// SPDX-License-Identifier: Apache-2.0
/** Manifests behind `-f`, read and validated as a whole: one fault anywhere, and nothing of it is used. */
import { InvalidError, UsageError } from '../lib/errors.ts';
import { type Manifest, readManifest } from '../model/manifest.ts';
import type { Resource } from '../model/types.ts';
import { type InputFile, type Io, readInputs } from './io.ts';

export interface ManifestOptions {
  readonly file?: readonly string[];
  readonly recursive?: boolean;
  readonly namespace?: string;
  readonly skipUnsupported?: boolean;
  /** No objects at all are no error. */
  readonly skipEmpty?: boolean;
}

/** @throws {UsageError} without `-f`. @throws {InvalidError} with every fault of every file. @throws {NotFoundError} */
export async function readManifests(options: ManifestOptions, io: Io): Promise<readonly Resource[]> {
  return validOf(await checkManifests(options, io));
}

/** The same of texts that were read already. @throws {InvalidError} */
export function manifestsOf(
  inputs: readonly InputFile[],
  options: Omit<ManifestOptions, 'file'>,
  io: Io,
): readonly Resource[] {
  return validOf(checkInputs(inputs, options, io));
}

function validOf(read: readonly Manifest[]): readonly Resource[] {
  const faults = read.flatMap((manifest) => manifest.faults);
  if (faults.length > 0) throw new InvalidError(`${faults.length} faults in manifests`, faults);
  return read.flatMap((manifest) => manifest.resources.map(({ resource }) => resource));
}

/** The same, faults and valid resources side by side. @throws {UsageError} {NotFoundError} {InvalidError} for nothing at all */
export async function checkManifests(options: ManifestOptions, io: Io): Promise<readonly Manifest[]> {
  if (!options.file || options.file.length === 0) throw new UsageError('want -f FILE, a directory or -');
  const read = checkInputs(readInputs(options.file, options.recursive ?? false, io), options, io);
  if (!options.skipEmpty && read.every(({ resources, faults }) => resources.length + faults.length === 0))
    throw new InvalidError(`no objects in ${options.file.join(', ')}`);
  return read;
}

function checkInputs(
  inputs: readonly InputFile[],
  options: Omit<ManifestOptions, 'file'>,
  io: Io,
): readonly Manifest[] {
  const namespace = options.namespace === undefined ? {} : { namespace: options.namespace };
  const reading = { ...namespace, skipUnsupported: options.skipUnsupported ?? false };
  const read = inputs.map((input) => readManifest(input.name, input.text, reading));
  for (const { kind, name, file, line } of read.flatMap((manifest) => manifest.skipped)) {
    io.note(`note: ${file}:${line}: ${kind} ${name} is skipped: not supported`);
  }
  return read;
}
