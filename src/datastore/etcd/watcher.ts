// SPDX-License-Identifier: Apache-2.0
/**
 * One watch on everything, held through losses of a connection or a member that are short.
 *
 * Owns:       the position up to which its reader has heard all. Takes in: etcd's Watch stream. Gives out: events, and with
 *             each batch a bookmark.
 * Invariants: a bookmark says the truth: nothing up to it is still to come; after a loss it goes on behind the last one, in the
 *             same history, or says RevisionGoneError.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectError } from '@connectrpc/connect';
import type { WatchEvent } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import {
  type AppError,
  ForbiddenError,
  HistoryReplacedError,
  RevisionGoneError,
  UnavailableError,
} from '../../lib/errors.ts';
import type { WatchResponse } from './api/etcd_pb.ts';
import { confirmHistory } from './confirm-history.ts';
import type { Entries } from './entries.ts';
import { appErrorOf, classOf } from './faults.ts';
import type { Lineage } from './lineage.ts';
import type { Members } from './members.ts';
import { WatchStream } from './watch-stream.ts';

/** A loss that is over sooner is nobody's concern: an election, a restart. */
const patienceMs = 3000;
const firstPauseMs = 50;
/** Less than this no answer could be expected. */
const shortestMs = 500;

export class Watcher {
  readonly #members: Members;
  readonly #lineage: Lineage;
  readonly #entries: Entries;
  readonly #history: number;
  #position: bigint;
  /** Since when nothing was heard but failures; null: it works. */
  #brokenAt: number | null = null;

  constructor(members: Members, lineage: Lineage, entries: Entries, from: bigint) {
    this.#members = members;
    this.#lineage = lineage;
    this.#entries = entries;
    this.#history = lineage.number;
    this.#position = from;
  }

  async *run(signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    const over = AbortSignal.any([signal, this.#members.closed]);
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs *= 2) {
      try {
        this.#members.wantOpen();
        for await (const batch of this.#stream(over)) {
          pauseMs = firstPauseMs;
          if (batch.length > 0) yield batch;
        }
      } catch (error) {
        if (signal.aborted) return;
        await this.#resumeOrThrow(error, pauseMs, over);
      }
    }
  }

  async *#stream(signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    await this.#confirmHistory();
    await using stream = await WatchStream.open(this.#members, this.#position + 1n, signal);
    try {
      for await (const answer of stream.answers()) {
        this.#brokenAt = null;
        yield this.#batchOf(answer, stream);
      }
      throw new UnavailableError(`etcd at ${stream.peer.name} ended the watch`);
    } catch (error) {
      this.#members.leave(stream.peer);
      throw error;
    }
  }

  /** @returns empty: nothing new. */
  #batchOf(answer: WatchResponse, stream: WatchStream): readonly WatchEvent[] {
    this.#lineage.accept(answer.header, 0n); // a member may be behind others: its revision says nothing of the history
    this.#wantHistory();
    if (answer.canceled) throw this.#endOf(answer);
    const last = answer.events.at(-1)?.kv;
    const known = last ? last.modRevision : stream.progressOf(answer, this.#position);
    if (last && last.value.length > 0) this.#lineage.remember(last);
    if (known === null || known <= this.#position) return [];
    this.#position = known;
    const bookmark = { type: 'bookmark', revision: String(known) as Revision } as const;
    return [...answer.events.flatMap((event) => this.#entries.event(event)), bookmark];
  }

  #endOf({ compactRevision, cancelReason }: WatchResponse): AppError {
    if (compactRevision > 0n)
      return new RevisionGoneError(
        `cannot watch from revision ${this.#position}: want one from ${compactRevision} on, as those before were compacted`,
      );
    if (/permission denied/.test(cancelReason))
      return new ForbiddenError(`cannot watch: etcd: ${cancelReason}`);
    return new UnavailableError(`the watch was ended: etcd: ${cancelReason}`);
  }

  /** @throws {RevisionGoneError} {HistoryReplacedError} */
  async #confirmHistory(): Promise<void> {
    this.#wantHistory();
    const spentMs = this.#brokenAt === null ? 0 : performance.now() - this.#brokenAt;
    const leftMs = Math.max(shortestMs, patienceMs - spentMs);
    const revision = await confirmHistory(this.#members, this.#lineage, 'watch', leftMs);
    if (revision < this.#position)
      throw new RevisionGoneError(`cannot watch from revision ${this.#position}: want at most ${revision}`);
  }

  /** Somebody else may have found out. */
  #wantHistory(): void {
    if (this.#lineage.number !== this.#history)
      throw new HistoryReplacedError('etcd was replaced or restored from a backup since the watch began');
  }

  async #resumeOrThrow(error: unknown, pauseMs: number, signal: AbortSignal): Promise<void> {
    const fault = error instanceof ConnectError ? this.#faultOf(error) : error;
    const isPassing = fault instanceof UnavailableError && !this.#members.closed.aborted;
    this.#brokenAt ??= performance.now();
    if (!isPassing || performance.now() + pauseMs - this.#brokenAt > patienceMs) throw fault;
    await delay(pauseMs, undefined, { signal }).catch(() => {}); // an abort only ends the wait
  }

  #faultOf(error: ConnectError): AppError {
    if (classOf(error) === 'token') {
      this.#members.forgetToken();
      return new UnavailableError('the watch was ended: etcd wants to know anew who we are');
    }
    return appErrorOf(error, 'cannot watch: etcd');
  }
}
