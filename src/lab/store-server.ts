// SPDX-License-Identifier: Apache-2.0
/**
 * The process that keeps a lab's state, where that is no file: etcd, or our API server.
 *
 * Owns:       its process, started with the lab and again when it died. Gives out: a store that answers.
 * Invariants: it outlives the lab's own process, as a cluster's store outlives its nodes; `lab down` ends it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { installDefinitions } from '../datastore/kubernetes/definitions.ts';
import { openDatastore } from '../datastore/open.ts';
import { AppError, assertNever, UnavailableError, UnsupportedError } from '../lib/errors.ts';
import { customResourceDefinitions } from '../model/schema/custom-resource-definitions.ts';
import { serviceRanges } from './allocation.ts';
import { cliEntry, type LabLayout } from './layout.ts';
import type { DatastoreName, LabSpec } from './spec.ts';
import { labDatastore } from './store-place.ts';

const patienceMs = 15_000;

/** Before anything is made. @throws {UnsupportedError} */
export function wantStoreProgram({ datastore }: LabSpec, path: string | undefined): void {
  if (datastore !== 'etcd' || (path ?? '').split(delimiter).some((folder) => isProgram(join(folder, 'etcd'))))
    return;
  throw new UnsupportedError(
    "a lab on etcd needs the program etcd, which is not on PATH: want Debian's etcd-server, or etcd 3.4 or later",
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Until it answers, and knows Calico's kinds. @throws {UnavailableError} */
export async function startStoreServer(layout: LabLayout, spec: LabSpec): Promise<void> {
  mkdirSync(layout.storeFolder, { recursive: true, mode: 0o700 });
  if (spec.datastore === 'embedded') return;
  writeFileSync(layout.storeConfig, agentsConfig(layout, spec.datastore), { mode: 0o600 });
  if (!isStoreRunning(layout)) spawnStore(layout, spec);
  await untilAnswering(layout, spec);
}

/** Looks after it until told to stop. */
export async function keepStoreServer(
  layout: LabLayout,
  spec: LabSpec,
  signal: AbortSignal,
  onEnd: (error: unknown) => void,
): Promise<void> {
  if (spec.datastore === 'embedded') return;
  while (!signal.aborted) {
    await delay(200, undefined, { signal }).catch(() => {}); // an abort only ends the wait
    if (signal.aborted || isStoreRunning(layout)) continue;
    await startStoreServer(layout, spec).catch(onEnd);
  }
}

/** Its pid, and that it is it: a pid may be used again. */
function isStoreRunning(layout: LabLayout): boolean {
  try {
    const pid = Number(readFileSync(layout.storePid, 'utf8'));
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(layout.storeFolder);
  } catch {
    return false;
  }
}

function spawnStore(layout: LabLayout, spec: LabSpec): void {
  const log = openSync(layout.storeLog, 'a');
  const child = processOf(layout, spec.datastore, log);
  child.on('error', () => {}); // then nobody answers, which is told
  child.unref();
  closeSync(log);
  writeFileSync(layout.storePid, `${child.pid ?? ''}\n`);
}

function processOf(layout: LabLayout, name: DatastoreName, log: number): ChildProcess {
  const options = { detached: true, stdio: ['ignore', log, log] as ['ignore', number, number] };
  switch (name) {
    case 'embedded':
      throw new TypeError('an embedded store has no process');
    case 'etcd':
      rmSync(layout.etcdSocket, { force: true }); // left by one that was killed
      return spawn('etcd', etcdArguments(layout), { ...options, cwd: layout.storeFolder });
    case 'kubernetes':
      return spawn(process.execPath, [...process.execArgv, cliEntry, ...apiArguments(layout)], {
        ...options,
        cwd: '/',
      });
    default:
      return assertNever(name);
  }
}

/** Peers need an address though there are none: a port of loopback's own choice is not to be had, so a socket. */
function etcdArguments(layout: LabLayout): readonly string[] {
  const url = 'unix://etcd:1';
  const peer = 'unix://peer:1';
  return [
    '--name=lab',
    `--data-dir=${join(layout.storeFolder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=lab=${peer}`,
    '--max-txn-ops=10000', // what `apply` writes at once is one transaction
    '--auto-compaction-mode=revision',
    '--auto-compaction-retention=100000',
    '--logger=zap',
    '--log-level=warn',
  ];
}

function apiArguments(layout: LabLayout): readonly string[] {
  const ranges = Object.values(serviceRanges).flatMap((range) => ['--service-cidr', range]);
  const folder = join(layout.storeFolder, 'api');
  const place = ['--folder', folder, '--socket', layout.apiSocket, '--kubeconfig', layout.kubeconfig];
  return ['apiserver', '--listen', '127.0.0.1:0', ...place, ...ranges];
}

async function untilAnswering(layout: LabLayout, spec: LabSpec): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const isRunning = isStoreRunning(layout);
    try {
      return await prepare(layout, spec.datastore);
    } catch (error) {
      if (!(error instanceof AppError) || !isRunning || performance.now() > deadline)
        throw new UnavailableError(
          `the lab's ${spec.datastore} ${isRunning ? 'does not answer' : 'ended'}; see ${layout.storeLog}: ${messageOf(error)}`,
        );
      await delay(50);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function prepare(layout: LabLayout, name: DatastoreName): Promise<void> {
  const config = labDatastore(layout, name);
  if (config.type === 'kubernetes') await installDefinitions(config, customResourceDefinitions());
  await using store = await openDatastore(config, { missing: 'refuse' });
  await store.position(['Namespace']);
}

function agentsConfig(layout: LabLayout, name: Exclude<DatastoreName, 'embedded'>): string {
  const spec =
    name === 'etcd'
      ? { datastoreType: 'etcdv3', etcdEndpoints: `unix://${layout.etcdSocket}` }
      : { datastoreType: 'kubernetes', k8sAPIEndpoint: `unix://${layout.apiSocket}` };
  return stringify({ apiVersion: 'projectcalico.org/v3', kind: 'CalicoAPIConfig', metadata: {}, spec });
}
