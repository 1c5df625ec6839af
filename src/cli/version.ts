// SPDX-License-Identifier: Apache-2.0
/** `muslin version`: ours, and what the cluster says of itself (ClusterInformation `default`), in calicoctl's words. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import manifest from '../../package.json' with { type: 'json' };
import type { Datastore } from '../contract/datastore.ts';
import { NotFoundError } from '../lib/errors.ts';
import { textAt } from '../model/json.ts';
import { manifestText } from '../model/manifest/print.ts';
import { parseDurationMs } from './duration.ts';
import { printable } from './exit.ts';
import type { Io } from './io.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { jsonText } from './plain-output.ts';

export interface VersionOptions extends PlaceOptions {
  readonly client?: boolean;
  readonly poll?: string;
  readonly output?: 'json' | 'yaml';
}

export interface Versions {
  readonly clientVersion: string;
  /** Absent where the program is no clone. */
  readonly gitCommit?: string;
  /** Absent with --client. */
  readonly cluster?: ClusterVersions;
}

interface ClusterVersions {
  readonly version: string;
  /** Absent where it says none. */
  readonly calicoVersion?: string;
  readonly type: string;
}

/** @throws {UsageError} {UnavailableError} after our own version was printed. */
export async function printVersion(options: VersionOptions, io: Io): Promise<void> {
  const pollMs = options.poll === undefined ? null : parseDurationMs(options.poll, '--poll');
  const client = clientVersions();
  if (options.client) return show(client, options, io);
  if (options.output === undefined) show(client, options, io);
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: false });
  let last = '';
  do {
    const cluster = await clusterVersions(store);
    const text =
      options.output === undefined ? clusterText(cluster) : formOf({ ...client, cluster }, options);
    if (text !== last) io.out(text); // what is polled is told when it changes
    last = text;
    if (pollMs !== null) await delay(pollMs);
  } while (pollMs !== null);
}

function show(versions: Versions, options: VersionOptions, io: Io): void {
  io.out(options.output === undefined ? clientText(versions) : formOf(versions, options));
}

function formOf(versions: Versions, { output }: VersionOptions): string {
  return output === 'yaml' ? manifestText(versions) : jsonText(versions);
}

export function clientVersions(): Versions {
  const commit = gitCommit(new URL('../../', import.meta.url).pathname);
  return { clientVersion: `v${manifest.version}`, ...(commit === null ? {} : { gitCommit: commit }) };
}

/** Read, not asked of git, which need not be there. @see gitrepository-layout(5) */
function gitCommit(root: string): string | null {
  const git = textOf(join(root, '.git'))
    ?.replace(/^gitdir: /, '')
    .trim();
  const folder = git === undefined ? join(root, '.git') : resolve(root, git); // a work tree has a file there
  const head = textOf(join(folder, 'HEAD'))?.trim() ?? '';
  const [, ref] = /^ref: (.+)$/.exec(head) ?? [];
  if (ref === undefined) return /^[0-9a-f]{40}/.test(head) ? head : null;
  const common = resolve(folder, textOf(join(folder, 'commondir'))?.trim() ?? '.');
  const packed = textOf(join(common, 'packed-refs'))
    ?.split('\n')
    .find((line) => line.endsWith(` ${ref}`));
  return textOf(join(common, ref))?.trim() ?? packed?.split(' ')[0] ?? null;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export async function clusterVersions(store: Datastore): Promise<ClusterVersions> {
  const { spec } = await clusterInformation(store);
  const calico = textAt(spec, 'calicoVersion');
  return {
    version: calico || 'unknown',
    ...(calico === '' ? {} : { calicoVersion: calico }),
    type: textAt(spec, 'clusterType') || 'unknown',
  };
}

async function clusterInformation(store: Datastore): Promise<{ readonly spec?: unknown }> {
  try {
    const { resource } = await store.get({ kind: 'ClusterInformation', name: 'default' });
    return { spec: resource.spec };
  } catch (error) {
    if (error instanceof NotFoundError) return {};
    throw error;
  }
}

function clientText({ clientVersion, gitCommit: commit }: Versions): string {
  return rows([
    ['Client Version', clientVersion],
    ...(commit === undefined ? [] : [['Git commit', commit] as const]),
  ]);
}

function clusterText({ version, calicoVersion, type }: ClusterVersions): string {
  return rows([
    ['Cluster Version', version],
    ...(calicoVersion === undefined ? [] : [['Cluster Calico Version', calicoVersion] as const]),
    ['Cluster Type', type],
  ]);
}

const width = 'Cluster Calico Version:'.length + 1;

function rows(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([name, value]) => `${`${name}:`.padEnd(width)}${printable(value)}\n`).join('');
}
