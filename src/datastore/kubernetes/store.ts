// SPDX-License-Identifier: Apache-2.0
/**
 * The Kubernetes datastore: Kubernetes' own objects and Calico's kinds as custom resources, behind one API server.
 *
 * Owns:       which kinds are served here; one connection for everything. Takes in: resources by key.
 * Gives out:  the same as contract/datastore.ts has it: what the API keeps apart (status, binding) is one object here.
 * Invariants: lists and watches are of one kind each, so a position has a part for each (contract/revision.ts). There are
 *             no transactions: `writeAll` tries all of it as a dry run before it writes the first.
 * Next:       connection.ts, access.ts (who and where), lists.ts, watches.ts, writes.ts, served-kinds.ts.
 */
import type { Datastore, Index, Listed, Stored, WatchEvent, Write } from '../../contract/datastore.ts';
import { formatPosition, type Position, parsePosition, partOf } from '../../contract/revision.ts';
import type { Revision } from '../../lib/brand.ts';
import {
  AppError,
  InvalidError,
  NotFoundError,
  PartialWriteError,
  RevisionGoneError,
  UnavailableError,
  UnsupportedError,
} from '../../lib/errors.ts';
import { memberAt, textAt } from '../../model/json.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';
import type { KubernetesConfig } from '../config.ts';
import { byName, keyText } from '../key.ts';
import { clusterAccess } from './access.ts';
import { Connection } from './connection.ts';
import {
  type KindList,
  type ListOptions,
  metadataOnly,
  pagedList,
  parsedAnswer,
  revisionOf,
  streamedList,
} from './lists.ts';
import { refusalOf } from './refusal.ts';
import { type ServedKind, servedKinds } from './served-kinds.ts';
import { Watches } from './watches.ts';
import { type ApplyOptions, Writes } from './writes.ts';

const defaultDiscoveryMs = 15_000;
/** Requests of one `writeAll` under way at a time. */
const atOnce = 16;

export interface KubernetesOptions {
  /** How often it is looked which definitions were installed or removed. @defaultValue 15,000 ms */
  readonly discoveryMs?: number;
}

export function openKubernetes(config: KubernetesConfig, options: KubernetesOptions = {}): KubernetesStore {
  const access = () => clusterAccess(config, process.env);
  access(); // what is wrong with the configuration is told at once
  return new KubernetesStore(new Connection(access), options);
}

export class KubernetesStore implements Datastore {
  readonly writesAtomically = false;
  readonly history = null;
  readonly #connection: Connection;
  readonly #writes: Writes;
  readonly #discoveryMs: number;
  #served: ServedKinds | null = null;
  #canStream = true;

  constructor(connection: Connection, { discoveryMs = defaultDiscoveryMs }: KubernetesOptions = {}) {
    this.#connection = connection;
    this.#discoveryMs = discoveryMs;
    this.#writes = new Writes(connection);
  }

  async get(key: ResourceKey): Promise<Stored> {
    const served = await this.#servedKind(key.kind);
    if (!served)
      throw new NotFoundError(`${keyText(key)} not found: this cluster does not serve ${key.kind}`);
    return served.isCrdV1 ? this.#getOld(served, key) : this.#writes.read(served, key);
  }

  /** Under Calico's older form a policy's name there does not follow from its name here: crd-v1.ts. */
  async #getOld(served: ServedKind, key: ResourceKey): Promise<Stored> {
    const { items } = await pagedList(this.#connection, served, placeOf(key.namespace));
    const found = items.find(({ key: { name } }) => name === key.name);
    if (!found) throw new NotFoundError(`${keyText(key)} not found`);
    return found;
  }

  async list(kind: ResourceKind, namespace?: string): Promise<Listed> {
    const served = await this.#servedKind(kind);
    if (!served) return { items: [], revision: formatPosition(new Map([[kind, 0n]])) };
    const { items, revision } = await pagedList(this.#connection, served, placeOf(namespace));
    return {
      items: [...items].sort(byName),
      revision: formatPosition(new Map([[kind, numberOf(revision)]])),
    };
  }

  async snapshot(): Promise<Listed> {
    return this.#listEach((served) => this.#wholeList(served));
  }

  /** What is listed without its content is no resource, and must not be taken for one. */
  async index(): Promise<Index> {
    const list = (served: ServedKind) => pagedList(this.#connection, served, { accept: metadataOnly });
    const { items, revision } = await this.#listEach(list);
    return { items: items.map((item) => ({ key: item.key, revision: item.revision })), revision };
  }

  async position(kinds: readonly ResourceKind[]): Promise<Revision> {
    const served = await this.#discover();
    const wanted = [...served.values()].filter(({ kind }) => kinds.includes(kind));
    const parts = await Promise.all(
      wanted.map(async (each) => [each.kind, await revisionOf(this.#connection, each)] as const),
    );
    return formatPosition(new Map(parts));
  }

  async create(key: ResourceKey, resource: Resource): Promise<Stored> {
    return this.#writeOne({ op: 'create', key, resource });
  }

  async update(key: ResourceKey, resource: Resource, ifRevision: Revision): Promise<Stored> {
    return this.#writeOne({ op: 'update', key, resource, ifRevision });
  }

  async delete(key: ResourceKey, ifRevision?: Revision): Promise<void> {
    await this.#write({ op: 'delete', key, ...(ifRevision === undefined ? {} : { ifRevision }) });
  }

  /** As kubectl's --server-side does: fields have managers. */
  async apply(key: ResourceKey, resource: Resource, how: ApplyOptions): Promise<Stored> {
    return this.#writes.apply(await this.#writable(key), key, resource, how);
  }

  async writeAll(writes: readonly Write[]): Promise<readonly Stored[]> {
    if (writes.length > 1) await this.tryAll(writes);
    const done: Write[] = [];
    const stored: (Stored | null)[] = [];
    for (const run of runsOf(writes)) {
      for (let at = 0; at < run.length; at += atOnce) {
        const part = run.slice(at, at + atOnce);
        const results = await Promise.allSettled(part.map((write) => this.#write(write)));
        done.push(...part.filter((_, i) => results[i]?.status === 'fulfilled'));
        const failed = results.find((result) => result.status === 'rejected');
        if (failed) throw partial(failed.reason, done, writes);
        stored.push(...results.map((result) => (result.status === 'fulfilled' ? result.value : null)));
      }
    }
    return stored.filter((each) => each !== null);
  }

  /** What needs another of them to be there first, is left to the write. */
  async tryAll(writes: readonly Write[]): Promise<readonly Stored[]> {
    const born = new Set(writes.filter(({ op }) => op === 'create').map(({ key }) => keyText(key)));
    const independent = writes.filter((write) => !needsOf(write).some((needed) => born.has(needed)));
    const stored: (Stored | null)[] = [];
    for (let at = 0; at < independent.length; at += atOnce) {
      const part = independent.slice(at, at + atOnce);
      stored.push(...(await Promise.all(part.map((write) => this.#write(write, { dryRun: true })))));
    }
    return stored.filter((each) => each !== null);
  }

  async *watch(from: Revision, signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    if (signal.aborted) return;
    const before = this.#served;
    const served = await this.#discover();
    const position = await this.#startOf(from, served);
    if (before && isWhole(parsePosition(from), before) && !isSame(before, served)) throw otherKinds();
    const changed = new AbortController();
    const stop = () => changed.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const looking = setInterval(() => void this.#lookForChange(served, changed), this.#discoveryMs);
    const watched = [...served.values()].filter(({ kind }) => position.has(kind));
    try {
      yield* new Watches(this.#connection, position).run(watched, changed.signal);
    } finally {
      clearInterval(looking);
      signal.removeEventListener('abort', stop);
    }
    if (!signal.aborted) throw otherKinds();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  /**
   * A watch from a revision that the server has not come to is silent for ever, where a store restored from a backup has
   * to be listed again.
   *
   * @throws {RevisionGoneError} {InvalidError}
   */
  async #startOf(from: Revision, served: ServedKinds): Promise<ReadonlyMap<ResourceKind, bigint>> {
    const position = parsePosition(from);
    if (position === null)
      throw new InvalidError(`revision ${JSON.stringify(from)}: want one that this datastore gave`);
    const parts = [...served.keys()].flatMap((kind) => {
      const part = partOf(position, kind);
      return part === undefined ? [] : [[kind, part] as const];
    });
    const [first] = served.values();
    const now = first ? await revisionOf(this.#connection, first) : 0n;
    const late = parts.find(([, part]) => part > now);
    if (late)
      throw new RevisionGoneError(
        `revision ${late[1]} of ${late[0]}: want one up to ${now}: the store was restored`,
      );
    return new Map(parts);
  }

  async #lookForChange(before: ServedKinds, changed: AbortController): Promise<void> {
    try {
      const now = await this.#discover();
      if (!isSame(now, before)) changed.abort();
    } catch (error) {
      if (!(error instanceof AppError)) throw error; // the watches notice by themselves
    }
  }

  async #listEach(list: (served: ServedKind) => Promise<KindList>): Promise<Listed> {
    const served = [...(await this.#discover()).values()];
    const lists = await Promise.all(served.map(list));
    const position = served.map(({ kind }, i) => [kind, numberOf(lists[i]?.revision)] as const);
    return { items: lists.flatMap(({ items }) => items), revision: formatPosition(new Map(position)) };
  }

  async #wholeList(served: ServedKind): Promise<KindList> {
    if (this.#canStream) {
      const streamed = await streamedList(this.#connection, served);
      if (typeof streamed !== 'string') return streamed;
      if (streamed === 'unsupported') this.#canStream = false;
    }
    return pagedList(this.#connection, served);
  }

  async #writeOne(write: Write): Promise<Stored> {
    const stored = await this.#write(write);
    if (!stored) throw new TypeError('a create or update must answer what it stored');
    return stored;
  }

  async #write(write: Write, options: { readonly dryRun?: boolean } = {}): Promise<Stored | null> {
    return this.#writes.write(await this.#writable(write.key), write, options);
  }

  /** @throws {UnsupportedError} */
  async #writable({ kind }: ResourceKey): Promise<ServedKind> {
    const served = await this.#servedKind(kind);
    if (!served)
      throw new UnsupportedError(
        `cannot write ${kind}: this cluster does not serve it; manifests/crds.yaml defines Calico's kinds`,
      );
    if (served.isCrdV1)
      throw new UnsupportedError(
        `cannot write ${kind}: got ${served.groupVersion}, which is only read, want projectcalico.org/v3`,
      );
    return served;
  }

  async #servedKind(kind: ResourceKind): Promise<ServedKind | null> {
    const known = this.#served?.get(kind);
    return known ?? (await this.#discover()).get(kind) ?? null;
  }

  async #discover(): Promise<ServedKinds> {
    this.#served = await servedKinds((groupVersion) => this.#resourceList(groupVersion));
    return this.#served;
  }

  async #resourceList(groupVersion: string): Promise<unknown> {
    const path = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
    const answer = await this.#connection.send({ method: 'GET', path });
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw refusalOf(`cannot read ${path}`, answer);
    const list = parsedAnswer(answer);
    if (Array.isArray(memberAt(list, 'resources'))) return list;
    throw new UnavailableError(`cannot read ${path}: got an answer that is no APIResourceList`);
  }
}

type ServedKinds = ReadonlyMap<ResourceKind, ServedKind>;

function isSame(a: ServedKinds, b: ServedKinds): boolean {
  return JSON.stringify([...a.values()]) === JSON.stringify([...b.values()]);
}

/** Of a list of everything; others watch what they listed. */
function isWhole(position: Position | null, served: ServedKinds): boolean {
  if (position === null || typeof position === 'bigint') return false;
  return position.size > 1 && [...served.keys()].every((kind) => position.has(kind));
}

function otherKinds(): RevisionGoneError {
  return new RevisionGoneError('other kinds are served than before: list again');
}

function placeOf(namespace: string | undefined): ListOptions {
  return namespace === undefined ? {} : { namespace };
}

/** What has to be there before: the namespace, and a pod's account. */
function needsOf(write: Write): readonly string[] {
  const { kind, namespace } = write.key;
  if (namespace === undefined) return [];
  const account =
    kind === 'Pod' && write.op !== 'delete'
      ? textAt(write.resource, 'spec', 'serviceAccountName') || 'default'
      : null;
  return [
    keyText({ kind: 'Namespace', name: namespace }),
    ...(account === null ? [] : [keyText({ kind: 'ServiceAccount', namespace, name: account })]),
  ];
}

function numberOf(revision: Revision | undefined): bigint {
  return /^\d+$/.test(revision ?? '') ? BigInt(revision ?? 0) : 0n;
}

/** Neighbours of one kind and one verb may be written in any order; others wait for those before them. */
function runsOf(writes: readonly Write[]): Write[][] {
  const runs: Write[][] = [];
  for (const write of writes) {
    const last = runs.at(-1);
    if (last?.[0] && last[0].op === write.op && last[0].key.kind === write.key.kind) last.push(write);
    else runs.push([write]);
  }
  return runs;
}

function partial(reason: unknown, done: readonly Write[], all: readonly Write[]): unknown {
  if (done.length === 0 || !(reason instanceof AppError)) return reason;
  const names = (writes: readonly Write[]) => writes.map(({ key }) => keyText(key)).join(', ');
  const rest = all.filter((write) => !done.includes(write));
  return new PartialWriteError(`${reason.message}; written: ${names(done)}; not written: ${names(rest)}`, {
    cause: reason,
  });
}
