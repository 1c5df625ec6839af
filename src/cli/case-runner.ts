// SPDX-License-Identifier: Apache-2.0
/** Case files, their manifests and their cases: read, compiled once for each file, run. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Fault, InvalidError } from '../lib/errors.ts';
import { parseIfName } from '../lib/if-name.ts';
import type { Resource } from '../model/types.ts';
import { addressedPods, imaginedNetworks } from './addressed-pods.ts';
import { type CaseFile, readCaseFile } from './case-file.ts';
import { Told } from './command.ts';
import { type Cluster, clusterOf } from './evaluators/cluster.ts';
import { exitCodes, faultText } from './exit.ts';
import { type Io, readInputs } from './io.ts';
import { type ManifestOptions, manifestsOf } from './manifests.ts';
import { CaseFaults, type CaseResult, runCase, runMatrix } from './policy-cases.ts';
import { planWrites } from './write-plan.ts';

export interface CaseOptions {
  readonly file: readonly string[];
  readonly recursive?: boolean;
  readonly skipUnsupported?: boolean;
  readonly uplink?: string;
}

/**
 * @throws {InvalidError} with every fault of case files and manifests. {NotFoundError} for a file that does not exist.
 * {Told} when cases name what is not there.
 */
export function runCaseFiles(options: CaseOptions, io: Io): readonly CaseResult[] {
  const files = readInputs(options.file, options.recursive ?? false, io).flatMap(
    ({ name, text }) => readCaseFile(name, text) ?? [],
  );
  if (files.every(({ cases, matrices }) => cases.length + matrices.length === 0))
    throw new InvalidError(`no cases in ${options.file.join(', ')}`);
  const faults = new CaseFaults();
  const results: CaseResult[] = [];
  for (const file of files) results.push(...runFile(file, options, faults, io));
  const found = [...faults.invalid, ...faults.missing];
  for (const fault of found) io.note(faultText(fault));
  if (found.length > 0) throw new Told(faults.invalid.length > 0 ? exitCodes.invalid : exitCodes.notFound);
  return results;
}

function runFile(file: CaseFile, options: CaseOptions, faults: CaseFaults, io: Io): readonly CaseResult[] {
  const cluster = clusterFor(resourcesOf(file, options, io), options, io);
  const cases = file.cases.map((each) =>
    faults.guard(file.file, each, () => runCase(cluster, file.file, each)),
  );
  const matrices = file.matrices.map((each) =>
    faults.guard(file.file, each, () => runMatrix(cluster, file.file, each)),
  );
  return [...cases, ...matrices].filter((result) => result !== null);
}

/** What `apply` would store of it in an empty store. */
function clusterFor(written: readonly Resource[], { uplink }: CaseOptions, io: Io): Cluster {
  const { rows, notices } = planWrites('apply', written, []);
  for (const notice of notices) io.note(`note: ${notice}`);
  const { resources, imagined } = addressedPods(rows.map(({ resource }) => resource));
  if (imagined > 0)
    io.note(`note: ${imagined} pods have no address (status.podIP): imagined in ${imaginedNetworks[4]}`);
  const cluster = clusterOf(resources, uplink === undefined ? {} : { uplink: parseIfName(uplink) });
  for (const fault of cluster.faults) io.note(faultText(fault).replace('error:', 'warning:'));
  return cluster;
}

/** Paths are relative to the case file. */
function resourcesOf(file: CaseFile, options: CaseOptions, io: Io): readonly Resource[] {
  const reading: ManifestOptions =
    options.skipUnsupported === undefined ? {} : { skipUnsupported: options.skipUnsupported };
  const folder = dirname(file.file);
  const paths = file.manifests.map(({ path, ...place }) => ({
    ...place,
    path: isAbsolute(path) ? path : join(folder, path),
  }));
  refuseMissing(file.file, paths, io);
  const inputs = readInputs(
    paths.map(({ path }) => path),
    true,
    io,
  );
  const others = inputs.filter(({ name }) => resolve(name) !== resolve(file.file)); // it may lie in a folder of its manifests
  const own = file.resources === '' ? [] : [{ name: file.file, text: file.resources }];
  return manifestsOf([...others, ...own], reading, io);
}

function refuseMissing(
  file: string,
  paths: readonly { readonly path: string; readonly line: number; readonly column: number }[],
  io: Io,
): void {
  const missing = paths.filter(({ path }) => path !== '-' && !existsSync(path));
  for (const { path, line, column } of missing) {
    const fault: Fault = { path: '', message: `${path}: no such file or directory`, file, line, column };
    io.note(faultText(fault));
  }
  if (missing.length > 0) throw new Told(exitCodes.notFound);
}
