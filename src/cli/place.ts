// SPDX-License-Identifier: Apache-2.0
/** Which store and which lab a command works on: its arguments, then the environment, then the running lab, then Calico's file. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { Datastore } from '../contract/datastore.ts';
import type { DatastoreConfig } from '../datastore/config.ts';
import { openDatastore } from '../datastore/open.ts';
import { defaultLabFolder, LabLayout } from '../lab/layout.ts';
import type { LabSpec } from '../lab/spec.ts';
import { readSpec } from '../lab/spec-file.ts';
import { labDatastore } from '../lab/store-place.ts';
import { UnavailableError, UsageError } from '../lib/errors.ts';
import { printable } from './exit.ts';
import type { Io } from './io.ts';
import { isPlugin, kubeconfigPaths } from './plugin.ts';
import { secretsOfEnvironment, withoutSecrets } from './secrets.ts';

export interface PlaceOptions {
  /** A file of the embedded store. */
  readonly datastore?: string;
  /** A file of Calico's: CalicoAPIConfig. */
  readonly config?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly lab?: string;
}

export interface Place {
  readonly config: DatastoreConfig;
  /** The lab that the store belongs to, if any: its nodes can be waited for. */
  readonly lab: { readonly layout: LabLayout; readonly spec: LabSpec } | null;
}

export function labLayout(options: Pick<PlaceOptions, 'lab'>, io: Io): LabLayout {
  return new LabLayout(options.lab ?? defaultLabFolder(io.env));
}

/** @throws {UnavailableError} when no store is named and no lab runs. {UsageError} {InvalidError} {NotFoundError} */
export async function findPlace(options: PlaceOptions, io: Io): Promise<Place> {
  const named = await namedStore(options, io);
  if (named) return { config: named, lab: null };
  const layout = labLayout(options, io);
  if (existsSync(layout.specFile)) {
    const spec = readSpec(layout);
    return { config: labDatastore(layout, spec.datastore), lab: { layout, spec } };
  }
  const usual = options.lab === undefined ? await usualStore(io) : null;
  if (usual) return { config: usual, lab: null };
  throw new UnavailableError(
    `no lab runs in ${layout.folder}, and no datastore was named; start one with: muslin lab up`,
  );
}

/** A lab that is named wins over the environment. */
async function namedStore(options: PlaceOptions, io: Io): Promise<DatastoreConfig | null> {
  const { datastore, config, kubeconfig, context, lab } = options;
  const given = [datastore, config, kubeconfig].filter((value) => value !== undefined);
  if (given.length > 1) throw new UsageError('want one of --datastore, --config and --kubeconfig');
  if (datastore !== undefined) return { type: 'embedded', file: resolve(datastore) };
  const { datastoreOfEnvironment, datastoreOfFile } = await import('../datastore/config-sources.ts');
  if (config !== undefined) return inContext(datastoreOfFile(config), context);
  if (kubeconfig !== undefined || context !== undefined) {
    const paths = kubeconfig?.split(':').filter((path) => path !== '') ?? kubeconfigPaths(io.env);
    return inContext({ type: 'kubernetes', kubeconfig: paths }, context);
  }
  if (lab !== undefined) return null;
  if (namesStore(io)) return datastoreOfEnvironment(io.env);
  return isPlugin(io) ? { type: 'kubernetes', kubeconfig: kubeconfigPaths(io.env) } : null;
}

/** KUBECONFIG alone is set on many machines for other programs: a running lab comes before it. */
function namesStore({ env }: Io): boolean {
  const names = ['MUSLIN_DATASTORE', 'DATASTORE_TYPE', 'ETCD_ENDPOINTS', 'K8S_API_ENDPOINT'];
  return names.some((name) => Boolean(env[name]) || Boolean(env[`CALICO_${name}`]));
}

async function usualStore(io: Io): Promise<DatastoreConfig | null> {
  const { calicoctlFile, datastoreOfEnvironment, datastoreOfFile } = await import(
    '../datastore/config-sources.ts'
  );
  return (
    datastoreOfEnvironment(io.env) ?? (existsSync(calicoctlFile) ? datastoreOfFile(calicoctlFile) : null)
  );
}

function inContext(config: DatastoreConfig, context: string | undefined): DatastoreConfig {
  return config.type === 'kubernetes' && context !== undefined ? { ...config, context } : config;
}

/** @throws {NotFoundError} when there is no lab. */
export function findLab(options: Pick<PlaceOptions, 'lab'>, io: Io): { layout: LabLayout; spec: LabSpec } {
  const layout = labLayout(options, io);
  return { layout, spec: readSpec(layout) };
}

export function placeOfLab(layout: LabLayout, spec: LabSpec): Place {
  return { config: labDatastore(layout, spec.datastore), lab: { layout, spec } };
}

/** Reading commands make no file where none was. @throws {NotFoundError} {UnavailableError} */
export function openStore(
  place: Pick<Place, 'config'>,
  io: Io,
  how: { readonly mayCreate: boolean },
): Promise<Datastore> {
  return openDatastore(place.config, {
    missing: how.mayCreate ? 'make' : 'refuse',
    writer: writerOf(io),
    onStrange: ({ where, problem }) =>
      io.note(`note: ${printable(where)}: ${printable(problem)}: passed over`),
  });
}

/** A patch on the command line may be as long as what it changes. */
const longestWriter = 400;

function writerOf({ words = [], env }: Io): string {
  const text = withoutSecrets(words.join(' '), secretsOfEnvironment(env));
  const shown = text.length > longestWriter ? `${text.slice(0, longestWriter)}...` : text;
  return `${userInfo().username}: muslin ${shown}`;
}
