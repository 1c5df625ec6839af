// SPDX-License-Identifier: Apache-2.0
/** `muslin cluster diags`: what whoever helps from afar asks for first, in one file, and no secret in it. */
import { execFile } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { release, version } from 'node:os';
import { resolve } from 'node:path';
import type { Stored } from '../contract/datastore.ts';
import { placeText } from '../datastore/config.ts';
import { NetNs } from '../kernel/netns.ts';
import { ask } from '../lab/control.ts';
import type { LabLayout } from '../lab/layout.ts';
import type { LabSpec } from '../lab/spec.ts';
import { AppError, NotFoundError, UsageError } from '../lib/errors.ts';
import { shapeFault } from '../model/json.ts';
import { kinds } from '../model/kinds.ts';
import { manifestText } from '../model/manifest/print.ts';
import { DiagsBundle } from './diags-bundle.ts';
import { discreetResource } from './discreet-resource.ts';
import { parseDurationMs } from './duration.ts';
import type { Io } from './io.ts';
import { nameOfKey } from './object-name.ts';
import { findPlace, openStore, type Place, type PlaceOptions } from './place.ts';
import { jsonText, listOf } from './plain-output.ts';
import { plural } from './plural.ts';
import { secretsOfEnvironment, secretsOfKubeconfigs, secretsOfStore } from './secrets.ts';
import { clientVersions, clusterVersions } from './version.ts';

export interface DiagsOptions extends PlaceOptions {
  /** Of logs: what is older stays out. calicoctl's `0s` means all of it. */
  readonly since?: string;
  /** Nodes whose logs are taken. @defaultValue 5 */
  readonly maxLogs?: string;
  readonly output?: string;
}

/** The end of each log. */
const longestLog = 8 * 1024 * 1024;

/** @throws {UsageError} {AlreadyExistsError} {UnavailableError} for no place at all; a store that is away is told inside. */
export async function collectDiags(options: DiagsOptions, io: Io): Promise<void> {
  const now = new Date();
  const sinceMs = parseDurationMs(options.since ?? '0s', '--since');
  const after = sinceMs === 0 ? null : new Date(now.getTime() - sinceMs);
  const maxLogs = parseCount(options.maxLogs ?? '5');
  const stamp = now.toISOString().replace(/[-:]|\..*/g, '');
  const name = `muslin-diags-${stamp}`;
  const output = resolve(options.output ?? `${name}.tar.gz`);
  const place = await findPlace(options, io);
  const secrets = [
    ...secretsOfEnvironment(io.env),
    ...secretsOfKubeconfigs(io.env),
    ...secretsOfStore(place.config),
  ];
  using bundle = new DiagsBundle(name, secrets);
  await addStore(bundle, place, io);
  await addHost(bundle, io);
  if (place.lab) await addLab(bundle, place.lab.layout, place.lab.spec, { after, maxLogs });
  else await bundle.attempt('agent/status.json', () => statusOf('/run/muslin/agent.sock'));
  bundle.pack(output);
  for (const part of bundle.missing) io.note(`note: left out: ${part}`);
  io.out(`${output}\n`);
}

function parseCount(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new UsageError(`--max-logs: got ${text}, want a number up to 9999`);
  return Number(text);
}

async function addStore(bundle: DiagsBundle, place: Place, io: Io): Promise<void> {
  try {
    await using store = await openStore(place, io, { mayCreate: false });
    const { items, revision } = await store.snapshot();
    const cluster = await clusterVersions(store);
    bundle.add('version.json', jsonText({ ...clientVersions(), cluster }));
    bundle.add(
      'datastore.json',
      jsonText({ place: placeText(place.config), objects: items.length, revision }),
    );
    for (const row of kinds) {
      const own = items.filter(({ key }) => key.kind === row.kind);
      if (own.length > 0)
        bundle.add(`resources/${row.plural}.yaml`, manifestText(listOf(own.map(shownObject))));
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    bundle.add('version.json', jsonText(clientVersions()));
    bundle.missing.push(`resources: ${error.message}`);
  }
}

/** Written behind our back it may be anything. */
function shownObject({ key, resource }: Stored): unknown {
  const fault = shapeFault(resource);
  return fault === null ? discreetResource(resource) : { name: nameOfKey(key), leftOut: fault };
}

const tools: readonly (readonly string[])[] = [
  ['nft', '--version'],
  ['ip', '-V'],
  ['etcd', '--version'],
  ['kubectl', 'version', '--client'],
  ['clang', '--version'],
  ['bird', '--version'],
  ['tar', '--version'],
];

async function addHost(bundle: DiagsBundle, io: Io): Promise<void> {
  bundle.add('host/kernel.txt', `${release()}\n${version()}\nnode ${process.version}\n`);
  const told = await Promise.all(
    tools.map(async ([tool = '', ...words]) => `${tool}: ${(await ran(tool, words)).split('\n')[0]}\n`),
  );
  bundle.add('host/tools.txt', told.join(''));
  const names = Object.keys(io.env).filter((name) =>
    /^(CALICO_|ETCD_|K8S_|FELIX_|MUSLIN_|DATASTORE_|KUBE)/.test(name),
  );
  bundle.add(
    'host/environment.txt',
    names
      .sort()
      .map((name) => `${name}\n`)
      .join(''),
  ); // what is set, not to what
  await bundle.attempt('host/nft.txt', () => wanted('nft', ['list', 'ruleset']));
}

interface LogLimits {
  readonly after: Date | null;
  readonly maxLogs: number;
}

async function addLab(
  bundle: DiagsBundle,
  layout: LabLayout,
  spec: LabSpec,
  limits: LogLimits,
): Promise<void> {
  bundle.add('lab/lab.json', jsonText(spec));
  await bundle.attempt('lab/lab.log', () => logText(layout.daemonLog, limits.after));
  if (spec.datastore !== 'embedded')
    await bundle.attempt('lab/store.log', () => logText(layout.storeLog, limits.after));
  for (const [i, { name }] of spec.nodes.entries()) {
    await bundle.attempt(`nodes/${name}/status.json`, () => statusOf(layout.agentSocket(name)));
    await bundle.attempt(`nodes/${name}/nft.txt`, () => ruleset(layout.nodeNetns(name)));
    if (i < limits.maxLogs)
      await bundle.attempt(`nodes/${name}/agent.log`, () => logText(layout.agentLog(name), limits.after));
  }
  const silent = spec.nodes.length - limits.maxLogs;
  if (silent > 0) bundle.missing.push(`logs of ${plural(silent, 'node')}: --max-logs is ${limits.maxLogs}`);
}

async function statusOf(socket: string): Promise<string> {
  return jsonText((await ask(socket, '/status')).body);
}

function ruleset(netnsName: string): Promise<string> {
  using netns = NetNs.open(netnsName);
  const child = netns.spawn('nft', ['list', 'ruleset'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: string[] = [];
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  const ended = Promise.withResolvers<string>();
  child.once('error', (error) => ended.reject(error));
  child.once('close', (code) => {
    if (code === 0) ended.resolve(chunks.join(''));
    else ended.reject(new NotFoundError(`nft list ruleset ended with ${code}`));
  });
  return ended.promise;
}

/** Its end, from the first line of the time that is asked for. */
function logText(path: string, after: Date | null): string {
  const lines = endOf(path).split('\n');
  if (after === null) return lines.join('\n');
  const first = lines.findIndex((line) => (timeOf(line)?.getTime() ?? 0) >= after.getTime());
  return first < 0 ? '' : lines.slice(first).join('\n');
}

function endOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const start = Math.max(0, size - longestLog);
    const buffer = Buffer.alloc(size - start);
    const text = buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, start));
    return start === 0
      ? text
      : `(the first ${start} bytes are left out)\n${text.slice(text.indexOf('\n') + 1)}`;
  } finally {
    closeSync(file);
  }
}

/** Our logs are JSON, and so are etcd's; both say when. */
function timeOf(line: string): Date | null {
  const [, text = ''] = /"(?:time|ts)":"([^"]+)"/.exec(line) ?? [];
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? null : time;
}

async function wanted(tool: string, words: readonly string[]): Promise<string> {
  const text = await ran(tool, words);
  if (text === absent) throw new NotFoundError(`${tool} is not there, or refuses`);
  return text;
}

const absent = 'not there';

function ran(tool: string, words: readonly string[]): Promise<string> {
  const options = { timeout: 10_000, maxBuffer: 256 * 1024 * 1024 };
  return new Promise((done) => {
    execFile(tool, words, options, (error, out) => done(error ? absent : out));
  });
}
