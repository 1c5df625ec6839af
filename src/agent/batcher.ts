// SPDX-License-Identifier: Apache-2.0
/**
 * Joins the store's stream and the graph: updates are taken as they come, the graph is flushed once per turn of the
 * event loop, so that batches grow by themselves under load and a single change waits for nothing. A long flush lets
 * others have their turn.
 *
 * Invariants: of a list that comes in portions after a loss of the store nothing is said before all of it is told: between
 *             a policy that went and the one in its place a node would be open.
 */
import type { CalcGraph } from '../calc/graph.ts';
import type { DataplaneMessage } from '../contract/dataplane.ts';
import type { SyncerSink, SyncStatus } from '../contract/datastore.ts';
import type { Update } from '../model/types.ts';

/**
 * A flush gives way to timers and sockets after so many milliseconds, and goes on in the next turn. A collection of garbage
 * may come on top, of up to 35 ms where there are 250,000 endpoints; together they stay below 50.
 */
const budget = 10;

export interface BatchListener {
  onStatus(status: SyncStatus): void;
  /** The graph has said all that it was told; `messages` of them are on their way to the driver. */
  onFlush(messages: number): void;
}

export class Batcher implements SyncerSink {
  readonly #graph: CalcGraph;
  readonly #emit: (message: DataplaneMessage) => void;
  readonly #listener: BatchListener;
  #scheduled = false;
  #status: SyncStatus = 'wait-for-ready';
  #wasInSync = false;
  /** Since the graph had last said all. */
  #messages = 0;

  constructor(graph: CalcGraph, emit: (message: DataplaneMessage) => void, listener: BatchListener) {
    this.#graph = graph;
    this.#emit = emit;
    this.#listener = listener;
  }

  onUpdates(updates: readonly Update[]): void {
    this.#graph.onUpdates(updates);
    this.#flushSoon();
  }

  onStatus(status: SyncStatus): void {
    this.#status = status;
    if (status === 'in-sync') this.#wasInSync = true;
    this.#graph.onStatus(status);
    this.#listener.onStatus(status);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#scheduled || this.#isListing) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  /** Before the first list is whole the graph says nothing anyhow, and may calculate meanwhile. */
  get #isListing(): boolean {
    return this.#wasInSync && this.#status !== 'in-sync';
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#isListing) return;
    const end = performance.now() + budget;
    const isDone = this.#graph.flush(
      (message) => {
        this.#messages++;
        this.#emit(message);
      },
      () => performance.now() > end,
    );
    if (!isDone) return this.#flushSoon();
    const messages = this.#messages;
    this.#messages = 0;
    this.#listener.onFlush(messages);
  }
}
