// SPDX-License-Identifier: Apache-2.0
/**
 * Starting, asking and ending a lab from outside its processes.
 *
 * Owns:       the lab's folder and everything that follows from it. Takes in: a LabSpec. Gives out: status, settling.
 * Invariants: `down` works whatever state the lab is in, also after kill -9 of everything, and leaves nothing;
 *             only processes are ended whose command line names this very folder.
 */
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { basename, join } from 'node:path';
import type { StatusReport } from '../agent/status.ts';
import type { Datastore } from '../contract/datastore.ts';
import { openDatastore } from '../datastore/open.ts';
import { isBpffs } from '../kernel/bpf/bpffs.ts';
import { removeCgroup } from '../kernel/cgroup.ts';
import { MNT_DETACH } from '../kernel/sys/constants.ts';
import { sys } from '../kernel/sys/open.ts';
import { familyOf } from '../lib/address.ts';
import type { Revision } from '../lib/brand.ts';
import {
  AlreadyExistsError,
  ForbiddenError,
  InvalidError,
  TimeoutError,
  UnavailableError,
} from '../lib/errors.ts';
import { keyPath } from '../model/kinds.ts';
import type { Resource, ResourceKey } from '../model/types.ts';
import { removeFabric } from './fabric.ts';
import { cliEntry, type LabLayout } from './layout.ts';
import { type LabNode, type LabSpec, poolName } from './spec.ts';
import { claimStart } from './start-claim.ts';
import { labDatastore } from './store-place.ts';
import { startStoreServer, wantStoreProgram } from './store-server.ts';

const startTimeoutMs = 60_000;

/** @throws {AlreadyExistsError} while a lab runs in that folder. @throws {TimeoutError} when it does not come up. */
export async function startLab(layout: LabLayout, spec: LabSpec): Promise<void> {
  if (isRunning(layout))
    throw new AlreadyExistsError(`a lab runs already in ${layout.folder}; end it with: muslin lab down`);
  wantShortPaths(layout, spec);
  wantStoreProgram(spec, process.env.PATH);
  await using _ = await claimStart(layout);
  await stopLab(layout); // what a lab left that was not ended in order
  makeFolder(layout);
  writeFileSync(layout.specFile, `${JSON.stringify(spec, null, 2)}\n`);
  await startStoreServer(layout, spec);
  await seed(layout, spec);
  spawnDaemon(layout);
  await untilReady(layout, spec);
}

/** @throws {ForbiddenError} */
function makeFolder(layout: LabLayout): void {
  try {
    mkdirSync(layout.bpffs, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ForbiddenError(
      `cannot make lab folder ${layout.folder}: ${code}: want one that can be written: --lab or MUSLIN_LAB`,
    );
  }
}

/** sun_path of struct sockaddr_un holds 108 bytes with the final NUL: unix(7). */
const maxSocketPathBytes = 107;

function wantShortPaths(layout: LabLayout, spec: LabSpec): void {
  const paths = [
    layout.daemonSocket,
    layout.etcdSocket,
    layout.apiSocket,
    ...spec.nodes.map(({ name }) => layout.agentSocket(name)),
  ];
  const longest = Math.max(...paths.map((path) => Buffer.byteLength(path)));
  if (longest <= maxSocketPathBytes) return;
  const over = longest - maxSocketPathBytes;
  throw new InvalidError(
    `lab folder ${layout.folder}: got a path ${over} bytes too long for Unix sockets in it, want a shorter one: --lab or MUSLIN_LAB`,
  );
}

/** @returns what was there to end. @throws {InvalidError} for a folder that is not a lab's: it would be removed. */
export async function stopLab(layout: LabLayout): Promise<{ processes: number; namespaces: number }> {
  wantLabFolder(layout);
  const daemon = processesOf(layout);
  for (const pid of daemon) endProcess(pid, 'SIGTERM');
  await untilGone(layout, 3000);
  for (const pid of processesOf(layout)) endProcess(pid, 'SIGKILL');
  await untilGone(layout, 3000);
  const namespaces = removeFabric(layout).length;
  removeCgroup(layout.cgroup);
  if (existsSync(layout.bpffs) && isBpffs(layout.bpffs)) sys.umount(layout.bpffs, MNT_DETACH);
  rmSync(layout.folder, { recursive: true, force: true });
  return { processes: daemon.length, namespaces };
}

/** What lies in a folder without a lab's spec must be a lab's by name, or it is someone's who mistook `--lab`. */
function wantLabFolder(layout: LabLayout): void {
  if (!existsSync(layout.folder) || existsSync(layout.specFile)) return;
  const foreign = readdirSync(layout.folder).filter((name) => !layout.entries.includes(name));
  if (foreign.length > 0) {
    throw new InvalidError(
      `${layout.folder} is no lab's folder, it has ${foreign.slice(0, 3).join(', ')}: want an empty one, or one that does not exist`,
    );
  }
}

/** A lab's folder without its process: killed, or the machine was started anew. */
export function isAbandoned(layout: LabLayout): boolean {
  return existsSync(layout.specFile) && !isRunning(layout);
}

export function isRunning(layout: LabLayout): boolean {
  return existsSync(layout.daemonPid) && isOurs(layout, Number(readFileSync(layout.daemonPid, 'utf8')));
}

export interface NodeStatus {
  readonly node: string;
  readonly addresses: readonly string[];
  /** Null: the agent does not answer, for the reason given. */
  readonly agent: StatusReport | null;
  readonly reason: string | null;
}

export function labStatus(layout: LabLayout, spec: LabSpec): Promise<readonly NodeStatus[]> {
  return Promise.all(spec.nodes.map((node) => nodeStatus(layout, node)));
}

/** Why the process that makes pods and answers for them does not answer itself; null when it does. */
export async function labProcessProblem(layout: LabLayout): Promise<string | null> {
  try {
    await ask(layout.daemonSocket, '/');
    return null;
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return `the process of the lab is gone: pods neither start nor answer; see ${layout.daemonLog}; end the lab with: muslin lab down`;
  }
}

/**
 * Waits until every Pod of revision `revision` was made and every node enforces it and what the lab wrote of it.
 *
 * @returns milliseconds that it took, and the nodes that did not get there, with their reasons; `lab` for Pods that were
 *          not made.
 */
export async function untilEnforced(
  layout: LabLayout,
  spec: LabSpec,
  revision: Revision,
  timeoutMs: number,
): Promise<{ milliseconds: number; late: readonly { node: string; reasons: readonly string[] }[] }> {
  const start = performance.now();
  const settled = await ask(
    layout.daemonSocket,
    `/settled?revision=${encodeURIComponent(revision)}&timeoutMs=${timeoutMs}`,
  );
  const target = (settled.body as { revision?: string | null } | null)?.revision ?? null;
  const answers = await Promise.all(
    spec.nodes.map(async ({ name }) => {
      const path = `/enforced?revision=${encodeURIComponent(target ?? revision)}&timeoutMs=${timeoutMs}`;
      const answer = await ask(layout.agentSocket(name), path).catch((error: unknown) => ({
        status: 0,
        body: { reasons: [String(error)] },
      }));
      return {
        node: name,
        status: answer.status,
        reasons: (answer.body as { reasons?: string[] } | null)?.reasons ?? [],
      };
    }),
  );
  const late = answers
    .filter((answer) => answer.status !== 204)
    .map(({ node, reasons }) => ({ node, reasons }));
  const unmade =
    target === null
      ? [{ node: 'lab', reasons: [`pods were not made in time; see ${layout.daemonLog}`] }]
      : [];
  return { milliseconds: performance.now() - start, late: [...unmade, ...late] };
}

/** @throws {UnavailableError} when nobody listens. */
export function ask(
  socketPath: string,
  path: string,
  method: 'GET' | 'POST' = 'GET',
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: text === '' ? null : JSON.parse(text) }),
      );
    });
    call.on('error', (error) => reject(new UnavailableError(`cannot reach ${socketPath}: ${error.message}`)));
    call.end();
  });
}

async function nodeStatus(layout: LabLayout, node: LabNode): Promise<NodeStatus> {
  const row = { node: node.name, addresses: node.addresses };
  try {
    const { body } = await ask(layout.agentSocket(node.name), '/status');
    return { ...row, agent: body as StatusReport, reason: null };
  } catch (error) {
    return { ...row, agent: null, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** What a cluster has before its first user comes: nodes, the default namespace, pools. */
async function seed(layout: LabLayout, spec: LabSpec): Promise<void> {
  const store = labDatastore(layout, spec.datastore);
  await using open = await openDatastore(store, { missing: 'make', writer: 'muslin lab up' });
  const create = (key: ResourceKey, resource: Resource) => ({ op: 'create' as const, key, resource });
  const nodes = spec.nodes.map((node) => create({ kind: 'Node', name: node.name }, nodeResource(node)));
  const pools = spec.pools.map((cidr) => {
    const name = poolName(cidr);
    const pool = {
      blockSize: familyOf(cidr) === 4 ? 26 : 122,
      ipipMode: 'Never',
      vxlanMode: 'Never',
      nodeSelector: 'all()',
    };
    return create(
      { kind: 'IPPool', name },
      { apiVersion: 'projectcalico.org/v3', kind: 'IPPool', metadata: { name }, spec: { cidr, ...pool } },
    );
  });
  const labels = { 'kubernetes.io/metadata.name': 'default' };
  const namespace: Resource = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels } };
  const all = [...nodes, create({ kind: 'Namespace', name: 'default' }, namespace), ...pools];
  await open.writeAll(await missing(open, all));
}

/** A Kubernetes API has its default namespace from the start. */
async function missing<T extends { key: ResourceKey }>(
  store: Datastore,
  writes: readonly T[],
): Promise<readonly T[]> {
  const { items } = await store.snapshot();
  const present = new Set(items.map(({ key }) => keyPath(key)));
  return writes.filter(({ key }) => !present.has(keyPath(key)));
}

function nodeResource(node: LabNode): Resource {
  const addresses = node.addresses.map((address) => ({ type: 'InternalIP', address }));
  const labels = { 'kubernetes.io/hostname': node.name };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name, labels },
    spec: {},
    status: { addresses },
  };
}

function spawnDaemon(layout: LabLayout): void {
  const log = openSync(layout.daemonLog, 'a');
  const args = [...process.execArgv, cliEntry, 'lab', 'daemon', '--dir', layout.folder];
  spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log], cwd: '/' }).unref();
  closeSync(log);
}

async function untilReady(layout: LabLayout, spec: LabSpec): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  for (;;) {
    const ready = await Promise.all(spec.nodes.map(({ name }) => isReady(layout.agentSocket(name))));
    if (ready.every(Boolean)) break;
    if (performance.now() > deadline) {
      const missing = spec.nodes.filter((_, i) => !ready[i]).map(({ name }) => name);
      throw new TimeoutError(
        `nodes not ready: ${missing.join(', ')}; see ${layout.daemonLog} and ${layout.nodeFolder('*')}/agent.log`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isReady(socket: string): Promise<boolean> {
  return ask(socket, '/readiness').then(
    ({ status }) => status === 204,
    () => false,
  );
}

/** The lab's daemon and agents: told by the folder on their command line, so a pid used again is not taken for ours. */
function processesOf(layout: LabLayout): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(Number)
    .filter((pid) => isOurs(layout, pid));
}

function isOurs(layout: LabLayout, pid: number): boolean {
  try {
    const words = readFileSync(join('/proc', String(pid), 'cmdline'), 'utf8').split('\0');
    if (words.some((word) => word.includes(`${layout.storeFolder}/`))) return isStoreOrAgent(words);
    return words.includes(cliEntry) && words.includes(layout.folder);
  } catch {
    return false; // it ended meanwhile
  }
}

/** An editor that has a file of the folder open is none of ours. */
function isStoreOrAgent(words: readonly string[]): boolean {
  return words.includes(cliEntry) || basename(words[0] ?? '') === 'etcd';
}

function endProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it ended meanwhile
  }
}

async function untilGone(layout: LabLayout, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (processesOf(layout).length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
