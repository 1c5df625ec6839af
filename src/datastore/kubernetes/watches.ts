// SPDX-License-Identifier: Apache-2.0
/**
 * The watches of all kinds as one stream.
 *
 * Owns:       one watch for each served kind, each with a position of its own. Gives out: batches that end with a bookmark.
 * Invariants: in order per kind, hence per key. A watch that the server ends politely goes on where it was; any other end
 *             of any of them ends the whole, and the syncer looks what was missed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { WatchEvent } from '../../contract/datastore.ts';
import { formatPosition } from '../../contract/revision.ts';
import type { Revision } from '../../lib/brand.ts';
import { RevisionGoneError, UnavailableError } from '../../lib/errors.ts';
import { Notice } from '../../lib/notice.ts';
import { isObject, textAt } from '../../model/json.ts';
import type { ResourceKind } from '../../model/types.ts';
import type { Connection } from './connection.ts';
import { eventOf, isLines, type RawEvent, revisionOf } from './lists.ts';
import { storedOf } from './object.ts';
import { refusalOf, refusalOfStatus } from './refusal.ts';
import { collectionPath, type ServedKind } from './served-kinds.ts';

/** A server ends a watch after half an hour to an hour by itself; we ask for less, so that load spreads. */
const leastSeconds = 300;
/** A watch that is answered and ended at once is asked again, later each time. */
const firstPauseMs = 100;
const lastPauseMs = 5000;
const longMs = 1000;

export class Watches {
  readonly #connection: Connection;
  readonly #position: Map<ResourceKind, bigint>;
  readonly #news = new Notice();
  readonly #stop = new AbortController();
  #events: WatchEvent[] = [];
  #moved = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(connection: Connection, position: ReadonlyMap<ResourceKind, bigint>) {
    this.#connection = connection;
    this.#position = new Map(position);
  }

  /** @throws {RevisionGoneError} {UnavailableError} {ForbiddenError} */
  async *run(kinds: readonly ServedKind[], signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    const stop = () => {
      this.#stop.abort();
      this.#news.ring();
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    for (const kind of kinds) void this.#keep(kind);
    try {
      yield* this.#batches();
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  async *#batches(): AsyncGenerator<readonly WatchEvent[]> {
    while (!this.#stop.signal.aborted) {
      if (this.#moved) {
        const events = this.#events;
        this.#events = [];
        this.#moved = false;
        yield [...events, { type: 'bookmark', revision: formatPosition(this.#position) }];
      } else if (this.#failure) throw this.#failure.error;
      else await this.#news.next(this.#stop.signal);
    }
  }

  async #keep(served: ServedKind): Promise<void> {
    try {
      for (let pauseMs = firstPauseMs; !this.#stop.signal.aborted; ) {
        const start = performance.now();
        await this.#watchOnce(served);
        pauseMs = performance.now() - start > longMs ? firstPauseMs : Math.min(2 * pauseMs, lastPauseMs);
        await delay(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {}); // an abort only ends the wait
        if (!this.#stop.signal.aborted) await this.#wantReached(served);
      }
    } catch (error) {
      this.#failure ??= { error };
      this.#news.ring();
    }
  }

  /**
   * What answers the next watch may be a server that was restored meanwhile: from a revision that it has not come to, a
   * watch is silent for ever.
   *
   * @throws {RevisionGoneError}
   */
  async #wantReached(served: ServedKind): Promise<void> {
    const position = this.#position.get(served.kind) ?? 0n;
    const now = await revisionOf(this.#connection, served);
    if (now < position)
      throw new RevisionGoneError(
        `cannot watch ${served.plural}: got revision ${position}, want one up to ${now}: the store was restored`,
      );
  }

  async #watchOnce(served: ServedKind): Promise<void> {
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: String(this.#position.get(served.kind) ?? 0n),
      timeoutSeconds: String(Math.round(leastSeconds * (1 + Math.random()))),
    });
    const path = `${collectionPath(served)}?${query}`;
    for await (const lines of this.#connection.lines(path, this.#stop.signal)) {
      if (!isLines(lines)) throw refusalOf(`cannot watch ${served.plural}`, lines);
      for (const line of lines) this.#take(served, eventOf(line));
      this.#news.ring();
    }
  }

  #take(served: ServedKind, { type, object }: RawEvent): void {
    if (type === 'ERROR')
      throw refusalOfStatus(`cannot watch ${served.plural}`, isObject(object) ? object : {});
    const revision = textAt(object, 'metadata', 'resourceVersion');
    const stored = type === 'BOOKMARK' ? null : storedOf(served, object);
    if (!/^\d+$/.test(revision) || (type !== 'BOOKMARK' && !stored))
      throw new UnavailableError(
        `watch of ${served.plural}: got an event that cannot be read; a list tells what was missed`,
      );
    this.#position.set(served.kind, BigInt(revision));
    this.#moved = true;
    if (!stored) return;
    if (type !== 'DELETED') this.#events.push({ type: 'put', stored });
    else this.#events.push({ type: 'delete', key: stored.key, revision: revision as Revision });
  }
}
