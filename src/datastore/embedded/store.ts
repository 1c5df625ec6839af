// SPDX-License-Identifier: Apache-2.0
/**
 * The embedded datastore: one SQLite file that several processes of one machine share.
 *
 * Owns:       the file, its revision counter, the log that watchers read, compaction, group commit.
 * Takes in:   resources by key (contract/datastore.ts); validation is the writer's, before it comes here.
 * Gives out:  the same with uid, creationTimestamp and resourceVersion; changes in order, across processes.
 * Invariants: a write that was answered is on disk; a write that failed left nothing; revisions only grow;
 *             the log from `compacted` on holds every change; all of it holds after kill -9 at any moment.
 * Next:       schema.ts for the tables, wake.ts for how another process's write is noticed, ../syncer.ts for the reader.
 */
import { randomUUID } from 'node:crypto';
import type { Datastore, Index, Listed, Stored, WatchEvent, Write } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import {
  AlreadyExistsError,
  AppError,
  ConflictError,
  InvalidError,
  NotFoundError,
  RevisionGoneError,
  UnavailableError,
} from '../../lib/errors.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';
import { keyText } from '../key.ts';
import { EmbeddedHistory } from './history.ts';
import { keyOfRow, type Row, toRevision, toStored } from './row.ts';
import { type Database, inReadTransaction, inTransaction, openDatabase } from './schema.ts';
import { WakeUp } from './wake.ts';

export interface EmbeddedOptions {
  /** How many changes are kept at most; a watcher that is further behind lists again. @defaultValue 100,000 */
  readonly historyRevisions?: number;
  /** How long changes are kept, of which the last thousand are kept longer. @defaultValue 7 days */
  readonly historyMs?: number;
  /** Who is named as the author of what is written through this client. */
  readonly writer?: string;
  readonly now?: () => Date;
}

/** Changes handed to a watcher at once; more are read in the next round, so that one slow reader holds little. */
const watchBatchSize = 1000;

/** A watcher that was away for a while shall not list again only because nothing had happened for a week. */
const leastRevisions = 1000;
const week = 7 * 24 * 3600 * 1000;

interface Pending {
  readonly writes: readonly Write[];
  resolve(stored: readonly Stored[]): void;
  reject(error: unknown): void;
}

export class EmbeddedStore implements Datastore {
  readonly writesAtomically = true;
  readonly history: EmbeddedHistory;
  readonly #db: Database;
  readonly #wake: WakeUp;
  readonly #historyRevisions: number;
  readonly #historyMs: number;
  readonly #writer: string;
  readonly #now: () => Date;
  #queue: Pending[] = [];
  #closed = false;

  constructor(file: string, options: EmbeddedOptions = {}) {
    this.#db = openDatabase(file);
    this.#wake = new WakeUp(file, this.#db);
    this.history = new EmbeddedHistory(this.#db);
    this.#historyRevisions = options.historyRevisions ?? 100_000;
    this.#historyMs = options.historyMs ?? week;
    this.#writer = options.writer ?? '';
    this.#now = options.now ?? (() => new Date());
  }

  async get(key: ResourceKey): Promise<Stored> {
    return this.#guarded(() => this.#read(key));
  }

  async list(kind: ResourceKind, namespace?: string): Promise<Listed> {
    const inNamespace = namespace === undefined ? '' : ' AND namespace = ?';
    const sql = `SELECT * FROM resource WHERE kind = ?${inNamespace} ORDER BY namespace, name`;
    return this.#consistently(sql, namespace === undefined ? [kind] : [kind, namespace]);
  }

  async snapshot(): Promise<Listed> {
    return this.#consistently('SELECT * FROM resource ORDER BY kind, namespace, name', []);
  }

  async index(): Promise<Index> {
    return this.#guarded(() =>
      inReadTransaction(this.#db, () => ({
        items: (
          this.#db.prepare('SELECT kind, namespace, name, revision FROM resource').all() as unknown as Row[]
        ).map((row) => ({ key: keyOfRow(row), revision: toRevision(row.revision) })),
        revision: toRevision(this.#fact('revision')),
      })),
    );
  }

  async position(): Promise<Revision> {
    return this.#guarded(() => toRevision(this.#fact('revision')));
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
  writeAll(writes: readonly Write[]): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ writes, resolve, reject });
      if (this.#queue.length === 1) setImmediate(() => this.#commitQueue());
    });
  }

  async *watch(from: Revision, signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    let seen = toNumber(from);
    while (!signal.aborted) {
      const woken = this.#wake.next(signal); // armed before the read, or a change in between is missed
      const rows = this.#guarded(() => this.#changesAfter(seen));
      if (rows.length > 0) {
        seen = rows.at(-1)?.revision ?? seen;
        yield [...rows.map(toEvent), { type: 'bookmark', revision: toRevision(seen) }];
      } else await woken;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#commitQueue();
    this.#wake.close();
    if (this.#db.isOpen) this.#db.close();
  }

  async #writeOne(write: Write): Promise<Stored> {
    const [stored] = await this.writeAll([write]);
    if (!stored) throw new TypeError('a create or update must answer what it stored');
    return stored;
  }

  /** All writes that came in the same turn of the event loop share one transaction, so one fsync. */
  #commitQueue(): void {
    const batch = this.#queue;
    this.#queue = [];
    if (batch.length === 0) return;
    const answers: (() => void)[] = [];
    try {
      this.#guarded(() =>
        inTransaction(this.#db, () => {
          for (const pending of batch) answers.push(this.#settle(pending));
          this.#compact();
        }),
      );
      for (const answer of answers) answer();
      this.#wake.local();
    } catch (error) {
      for (const pending of batch) pending.reject(error);
    }
  }

  /** One caller's writes inside the shared transaction: a refusal takes back only its own. */
  #settle(pending: Pending): () => void {
    this.#db.exec('SAVEPOINT one');
    try {
      const stored = pending.writes.flatMap((write) => this.#write(write));
      this.#db.exec('RELEASE one');
      return () => pending.resolve(stored);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#db.exec('ROLLBACK TO one; RELEASE one');
      return () => pending.reject(error);
    }
  }

  #write(write: Write): Stored[] {
    const found = this.#row(write.key);
    if (write.op === 'create') {
      if (found) throw new AlreadyExistsError(`${keyText(write.key)} already exists`);
      return [this.#put(write.key, this.#born(write.resource))];
    }
    if (!found) throw new NotFoundError(`${keyText(write.key)} not found`);
    if (write.ifRevision !== undefined && toNumber(write.ifRevision) !== found.revision) {
      throw new ConflictError(
        `cannot ${write.op} ${keyText(write.key)}: got revision ${write.ifRevision}, want ${found.revision}`,
      );
    }
    if (write.op === 'update') return [this.#put(write.key, keepIdentity(write.resource, toStored(found)))];
    this.#remove(write.key);
    return [];
  }

  #put(key: ResourceKey, resource: Resource): Stored {
    const revision = this.#nextRevision();
    const body = JSON.stringify(withoutVersion(resource));
    const names = [key.kind, key.namespace ?? '', key.name];
    this.#db.prepare('INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?)').run(...names, revision, body);
    this.#log(revision, names, body);
    return toStored({ kind: key.kind, namespace: key.namespace ?? '', name: key.name, revision, body });
  }

  #remove(key: ResourceKey): void {
    const names = [key.kind, key.namespace ?? '', key.name];
    this.#db.prepare('DELETE FROM resource WHERE kind = ? AND namespace = ? AND name = ?').run(...names);
    this.#log(this.#nextRevision(), names, null);
  }

  #log(revision: number, names: readonly string[], body: string | null): void {
    const row = [revision, ...names, body, this.#now().getTime(), this.#writer];
    this.#db.prepare('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)').run(...row);
  }

  #born(resource: Resource): Resource {
    const creationTimestamp = this.#now()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z'); // as metav1.Time prints it
    return { ...resource, metadata: { ...resource.metadata, uid: randomUUID(), creationTimestamp } };
  }

  #nextRevision(): number {
    this.#db.exec("UPDATE fact SET value = value + 1 WHERE name = 'revision'");
    return this.#fact('revision');
  }

  /** Runs once per tenth of the history, so that a write seldom pays for it. */
  #compact(): void {
    const revision = this.#fact('revision');
    const step = Math.min(this.#historyRevisions, leastRevisions) / 10;
    const tooMany = revision - this.#historyRevisions;
    if (tooMany - this.#fact('compacted') >= this.#historyRevisions / 10) this.#compactUpTo(tooMany);
    else if (revision % Math.max(1, Math.round(step)) === 0) this.#compactOld(revision - leastRevisions);
  }

  /** Time decides nothing but what may be forgotten: a clock that jumps makes the history shorter, never wrong. */
  #compactOld(atMost: number): void {
    const since = this.#now().getTime() - this.#historyMs;
    const sql = 'SELECT max(revision) AS revision FROM log WHERE revision <= ? AND revision > ? AND time < ?';
    const old = this.#db.prepare(sql).get(atMost, this.#fact('compacted'), since)?.revision;
    if (typeof old === 'number') this.#compactUpTo(old);
  }

  /** Of each key the last change up to there stays: the store as it was can be told from there on. */
  #compactUpTo(revision: number): void {
    const superseded = `EXISTS (SELECT 1 FROM log AS next WHERE next.kind = log.kind AND next.namespace = log.namespace
      AND next.name = log.name AND next.revision > log.revision AND next.revision <= ?)`;
    this.#db
      .prepare(`DELETE FROM log WHERE revision <= ? AND (body IS NULL OR ${superseded})`)
      .run(revision, revision);
    this.#db.prepare("UPDATE fact SET value = ? WHERE name = 'compacted'").run(revision);
  }

  #changesAfter(revision: number): Row[] {
    return inReadTransaction(this.#db, () => {
      const compacted = this.#fact('compacted');
      const latest = this.#fact('revision');
      // a revision from the future: the file was replaced by an older one
      if (revision < compacted || revision > latest) {
        throw new RevisionGoneError(`revision ${revision}: want one from ${compacted} to ${latest}`);
      }
      const sql = `SELECT * FROM log WHERE revision > ? ORDER BY revision LIMIT ${watchBatchSize}`;
      return this.#db.prepare(sql).all(revision) as unknown as Row[];
    });
  }

  #consistently(sql: string, parameters: readonly string[]): { items: Stored[]; revision: Revision } {
    return this.#guarded(() =>
      inReadTransaction(this.#db, () => ({
        items: (this.#db.prepare(sql).all(...parameters) as unknown as Row[]).map(toStored),
        revision: toRevision(this.#fact('revision')),
      })),
    );
  }

  #read(key: ResourceKey): Stored {
    const row = this.#row(key);
    if (!row) throw new NotFoundError(`${keyText(key)} not found`);
    return toStored(row);
  }

  #row(key: ResourceKey): Row | undefined {
    const sql = 'SELECT * FROM resource WHERE kind = ? AND namespace = ? AND name = ?';
    return this.#db.prepare(sql).get(key.kind, key.namespace ?? '', key.name) as Row | undefined;
  }

  #fact(name: 'revision' | 'compacted'): number {
    return Number(this.#db.prepare('SELECT value FROM fact WHERE name = ?').get(name)?.value);
  }

  /** What SQLite throws becomes the one decision a caller has: wait and try again. */
  #guarded<T>(body: () => T): T {
    if (this.#closed && !this.#db.isOpen) throw new UnavailableError('the datastore was closed');
    try {
      return body();
    } catch (error) {
      if (error instanceof AppError || error instanceof TypeError) throw error;
      throw new UnavailableError(`datastore: ${String(error)}`, { cause: error });
    }
  }
}

function toEvent(row: Row): WatchEvent {
  if (row.body !== null) return { type: 'put', stored: toStored(row) };
  return { type: 'delete', key: keyOfRow(row), revision: toRevision(row.revision) };
}

/** uid and creationTimestamp are the store's: an update cannot change them. */
function keepIdentity(resource: Resource, before: Stored): Resource {
  const { uid, creationTimestamp } = before.resource.metadata;
  const identity = { ...(uid ? { uid } : {}), ...(creationTimestamp ? { creationTimestamp } : {}) };
  return { ...resource, metadata: { ...resource.metadata, ...identity } };
}

function withoutVersion(resource: Resource): Resource {
  const { resourceVersion: _, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

function toNumber(revision: Revision): number {
  if (!/^[0-9]{1,15}$/.test(revision)) {
    throw new InvalidError(`revision ${JSON.stringify(revision)}: want one that this datastore gave`);
  }
  return Number(revision);
}
