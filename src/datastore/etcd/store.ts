// SPDX-License-Identifier: Apache-2.0
/**
 * The datastore in etcd v3, in Calico's layout: what Calico's tools write is read here, and the other way round.
 *
 * Owns:       the connections to etcd's members, the order of pages, transactions and watches.
 * Takes in:   resources by key (contract/datastore.ts); validation is the writer's, before it comes here.
 * Gives out:  the same with uid, creationTimestamp and resourceVersion (etcd's mod_revision); changes in etcd's order.
 * Invariants: reads are linearizable; a write is one transaction, done or not; who has seen a revision is never handed an older
 *             state (lineage.ts); nothing that stands in etcd stops a reader (values.ts); no secret is in a message.
 * Next:       layout.ts for the keys, members.ts for who is asked, watcher.ts for the watch, api/etcd.proto for the calls.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  Datastore,
  Index,
  Indexed,
  Listed,
  Stored,
  WatchEvent,
  Write,
} from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { NotFoundError } from '../../lib/errors.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';
import type { EtcdConfig, StoreNotices } from '../config.ts';
import { byName, keyText } from '../key.ts';
import type { KeyValue, TxnRequestSchema, TxnResponse } from './api/etcd_pb.ts';
import { confirmHistory } from './confirm-history.ts';
import { Entries } from './entries.ts';
import { everything, type KeyRange, pathsOf, rangesOf } from './layout.ts';
import { Lineage } from './lineage.ts';
import { Members, type Repeat } from './members.ts';
import { Reader } from './reader.ts';
import {
  foundIn,
  pathsOfWrite,
  readOf,
  refusalOfAll,
  stepOf,
  storedBy,
  toRevision,
  transactionOf,
} from './transaction.ts';
import { decodeValue } from './values.ts';
import { Watcher } from './watcher.ts';

export interface EtcdOptions extends StoreNotices {
  /** For creationTimestamp alone. */
  readonly now?: () => Date;
}

/** Objects parsed in one turn of the event loop: a few milliseconds. */
const portion = 256;

export class EtcdStore implements Datastore {
  readonly writesAtomically = true;
  /** etcd does, until it is compacted, but not who wrote. */
  readonly history = null;
  readonly #members: Members;
  readonly #lineage = new Lineage();
  readonly #entries: Entries;
  readonly #reader: Reader;
  readonly #now: () => Date;

  /** @throws {InvalidError} for endpoints that are none. */
  constructor(config: EtcdConfig, options: EtcdOptions = {}) {
    this.#members = new Members(config);
    this.#reader = new Reader(this.#members, this.#lineage);
    this.#entries = new Entries(options);
    this.#now = options.now ?? (() => new Date());
  }

  async get(key: ResourceKey): Promise<Stored> {
    const paths = pathsOf(key);
    const { responses } = await this.#transact(`get ${keyText(key)}`, 'read', { success: paths.map(readOf) });
    for (const [path, kv] of foundIn(responses)) return decodeValue(key, path, kv.value, kv.modRevision);
    throw new NotFoundError(`${keyText(key)} not found`);
  }

  async list(kind: ResourceKind, namespace?: string): Promise<Listed> {
    const listed = await this.#listed(`list ${kind}`, rangesOf(kind, namespace));
    return { ...listed, items: listed.items.toSorted(byName) }; // etcd's order is that of bytes: `a-b/x` before `a/x`
  }

  snapshot(): Promise<Listed> {
    return this.#listed('list everything', [everything]);
  }

  async index(): Promise<Index> {
    const { items, revision } = await this.#collected<Indexed>('list all keys', [everything], true, (kv) =>
      this.#entries.indexed(kv),
    );
    return { items, revision };
  }

  async position(_kinds: readonly ResourceKind[]): Promise<Revision> {
    const { header } = await this.#transact('ask the position', 'read', {
      success: [readOf(everything.start)],
    });
    return String(header?.revision ?? 0n) as Revision;
  }

  async create(key: ResourceKey, resource: Resource): Promise<Stored> {
    return this.#writeOne({ op: 'create', key, resource });
  }

  async update(key: ResourceKey, resource: Resource, ifRevision: Revision): Promise<Stored> {
    return this.#writeOne({ op: 'update', key, resource, ifRevision });
  }

  async delete(key: ResourceKey, ifRevision?: Revision): Promise<void> {
    await this.writeAll([{ op: 'delete', key, ...(ifRevision === undefined ? {} : { ifRevision }) }]);
  }

  /** Deletes give no Stored: the answer holds one per create and update, in order. */
  async writeAll(writes: readonly Write[]): Promise<readonly Stored[]> {
    if (writes.length === 0) return [];
    const what = writes.length === 1 ? singleText(writes[0]) : `write ${writes.length} objects at once`;
    const found = await this.#standing(what, writes);
    const steps = writes.map((write) => stepOf(write, found, (resource) => this.#born(resource)));
    const request = transactionOf(steps);
    const { succeeded, responses, header } = await this.#transact(what, 'write', request);
    if (!succeeded) throw refusalOfAll(steps, foundIn(responses));
    return storedBy(steps, header?.revision ?? 0n);
  }

  watch(from: Revision, signal: AbortSignal): AsyncIterable<readonly WatchEvent[]> {
    return new Watcher(this.#members, this.#lineage, this.#entries, toRevision(from)).run(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#members.close();
  }

  async #writeOne(write: Write): Promise<Stored> {
    const [stored] = await this.writeAll([write]);
    if (!stored) throw new TypeError('a create or update must answer what it stored');
    return stored;
  }

  /** What is stored now of that which an update keeps, or of which a name does not say where it stands. */
  async #standing(what: string, writes: readonly Write[]): Promise<ReadonlyMap<string, KeyValue>> {
    const paths = writes.flatMap((write) => {
      const all = pathsOfWrite(write);
      return write.op === 'update' || (write.op === 'delete' && all.length > 1) ? all : [];
    });
    if (paths.length === 0) return new Map();
    const { responses } = await this.#transact(what, 'read', { success: paths.map(readOf) });
    return foundIn(responses);
  }

  async #transact(
    what: string,
    repeat: Repeat,
    request: MessageInitShape<typeof TxnRequestSchema>,
  ): Promise<TxnResponse> {
    const before = this.#lineage.revision;
    const answer = await this.#members.call(what, repeat, (peer, options) => peer.kv.txn(request, options));
    // what was written was written, whatever the history: the next read finds out
    if (repeat === 'read') this.#lineage.accept(answer.header, before);
    else this.#lineage.wrote(answer.header);
    return answer;
  }

  async #listed(what: string, ranges: readonly KeyRange[]): Promise<{ items: Stored[]; revision: Revision }> {
    return this.#collected<Stored>(what, ranges, false, (kv) => this.#entries.stored(kv));
  }

  async #collected<T>(
    what: string,
    ranges: readonly KeyRange[],
    isKeysOnly: boolean,
    convert: (kv: KeyValue) => readonly T[],
  ): Promise<{ items: T[]; revision: Revision }> {
    if (this.#lineage.witness) await confirmHistory(this.#members, this.#lineage, what);
    let items: T[] = [];
    const restart = () => {
      items = [];
    };
    const revision = await this.#reader.read(what, ranges, isKeysOnly, restart, async (kvs) => {
      if (!isKeysOnly) this.#lineage.remember(newestOf(kvs));
      for (let at = 0; at < kvs.length; at += portion) {
        for (const kv of kvs.slice(at, at + portion)) items.push(...convert(kv));
        await turn();
      }
    });
    return { items, revision: String(revision) as Revision };
  }

  #born(resource: Resource): Resource {
    const creationTimestamp = this.#now()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z'); // as metav1.Time prints it
    return { ...resource, metadata: { ...resource.metadata, uid: randomUUID(), creationTimestamp } };
  }
}

function singleText(write: Write | undefined): string {
  return write ? `${write.op} ${keyText(write.key)}` : 'write';
}

function newestOf(kvs: readonly KeyValue[]): KeyValue | undefined {
  let newest = kvs[0];
  for (const kv of kvs) if (newest && kv.modRevision > newest.modRevision) newest = kv;
  return newest;
}
