// SPDX-License-Identifier: Apache-2.0
/**
 * Joins the store's stream and the graphs, that of policy and, where the data plane balances services, theirs: changes are
 * taken as they come, both graphs are flushed once per turn of the event loop, so that batches grow by themselves under
 * load and a single change waits for nothing. A long flush lets others have their turn.
 *
 * Invariants: of a list that comes in portions after a loss of the store nothing is said before all of it is told: between
 *             a policy that went and the one in its place a node would be open. What services say goes first: in-sync, which
 *             the graph says, is about them too.
 */
import type { CalcGraph } from '../calc/graph.ts';
import type { DataplaneMessage } from '../contract/dataplane.ts';
import type { ResourceChange, SyncerSink, SyncStatus } from '../contract/datastore.ts';
import type { TranslationMessage } from '../contract/services.ts';
import type { Update } from '../model/types.ts';
import type { ServiceGraph } from '../services/graph.ts';

/**
 * A flush gives way to timers and sockets after so many milliseconds, and goes on in the next turn. A collection of garbage
 * may come on top, of up to 35 ms where there are 250,000 endpoints; together they stay below 50.
 */
const budget = 10;

export interface BatchListener {
  onStatus(status: SyncStatus): void;
  /** The graphs have said all that they were told; `messages` of them are on their way to the driver. */
  onFlush(messages: number): void;
}

/** The services' side of it; a data plane that leaves them to kube-proxy has none. */
export interface ServiceFlow {
  readonly graph: ServiceGraph;
  readonly emit: (message: TranslationMessage) => void;
}

export class Batcher implements SyncerSink {
  readonly #graph: CalcGraph;
  readonly #emit: (message: DataplaneMessage) => void;
  readonly #listener: BatchListener;
  readonly #services: ServiceFlow | null;
  #scheduled = false;
  #status: SyncStatus = 'wait-for-ready';
  #wasInSync = false;
  /** Since the graphs had last said all. */
  #messages = 0;

  constructor(
    graph: CalcGraph,
    emit: (message: DataplaneMessage) => void,
    listener: BatchListener,
    services: ServiceFlow | null = null,
  ) {
    this.#graph = graph;
    this.#emit = emit;
    this.#listener = listener;
    this.#services = services;
  }

  /** Also where nothing becomes of them: the revision that they came with is then in force. */
  onResources(changes: readonly ResourceChange[]): void {
    this.#services?.graph.onResources(changes);
    this.#flushSoon();
  }

  onUpdates(updates: readonly Update[]): void {
    this.#graph.onUpdates(updates);
    this.#flushSoon();
  }

  /** The store moved on and told nothing with it (a bookmark, an audit): what is in force is so up to there. */
  onPosition(): void {
    this.#flushSoon();
  }

  onStatus(status: SyncStatus): void {
    this.#status = status;
    if (status === 'in-sync') this.#wasInSync = true;
    this.#graph.onStatus(status);
    this.#services?.graph.onStatus(status);
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
    const isDue = () => performance.now() > end;
    if (!this.#flushServices(isDue) || !this.#flushGraph(isDue)) return this.#flushSoon();
    const messages = this.#messages;
    this.#messages = 0;
    this.#listener.onFlush(messages);
  }

  #flushServices(isDue: () => boolean): boolean {
    if (!this.#services) return true;
    const { graph, emit } = this.#services;
    return graph.flush((message) => {
      this.#messages++;
      emit(message);
    }, isDue);
  }

  #flushGraph(isDue: () => boolean): boolean {
    return this.#graph.flush((message) => {
      this.#messages++;
      this.#emit(message);
    }, isDue);
  }
}
