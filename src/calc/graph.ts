// SPDX-License-Identifier: Apache-2.0
/**
 * The calculation graph: what the whole cluster holds, to what one node must enforce.
 *
 * Owns:       the present state, the indexes over it, and what was sent.
 * Takes in:   Updates in any order, repeated, skipping states; `null` is absent, be it deleted or invalid.
 * Gives out:  on flush, the net difference as DataplaneMessages, in the order that contract/dataplane.ts promises.
 * Invariants: output is a function of the present state only: no history, no last good value, no clock, no await.
 *             Every add is undone exactly; a change that changes nothing says nothing.
 *             What one pass says is said at once, for a data plane may apply whenever the graph pauses: it sees a policy's
 *             rules move to another policy, or does not, and never the one half of it.
 *             Nothing is said before the syncer was in sync; from then on a loss of the store changes nothing.
 * Next:       dispatcher.ts, then the nodes below in order; sequencer.ts says the difference; compile.ts runs it once.
 */

import type { DataplaneMessage } from '../contract/dataplane.ts';
import type { SyncerSink, SyncStatus } from '../contract/datastore.ts';
import { type LocalWords, noWords, type Setting } from '../model/felix/settings.ts';
import type { Update } from '../model/types.ts';
import { ActivePolicies } from './active-policies.ts';
import { ActiveProfiles } from './active-profiles.ts';
import { Configuration } from './configuration.ts';
import { Dispatcher } from './dispatcher.ts';
import { IpSetMembers } from './ip-set-members.ts';
import { LabelIndex } from './label-index.ts';
import type { CalcNode, NodeDescription, Work } from './node.ts';
import { PolicyOrder } from './policy-order.ts';
import { Routes } from './routes.ts';
import { RuleScanner } from './rule-scanner.ts';
import { Sequencer } from './sequencer.ts';

type Emit = (message: DataplaneMessage) => void;

export interface CalcGraph extends SyncerSink {
  /**
   * Emit the net change since the last flush in dependency-safe order. Holds one pending change for each object.
   *
   * @param shouldPause - asked every hundred microseconds or so; without it all is done at once.
   * @returns whether all that was told is said; if not, call again to go on. What is told meanwhile is said afterwards.
   */
  flush(emit: Emit, shouldPause?: () => boolean): boolean;
  /** What any layer sets of this node's settings, as of the last flush. */
  settings(): readonly Setting[];
  /** The nodes in order of work, for drawings and `muslin status`. */
  describe(): readonly NodeDescription[];
}

export interface GraphConfig {
  /** The name of the node for which to calculate. */
  readonly node: string;
  /** What the node's own file and environment say of its settings. */
  readonly local?: LocalWords;
}

export function buildGraph({ node, local = noWords }: GraphConfig): CalcGraph {
  return new Graph(node, local);
}

class Graph implements CalcGraph {
  readonly #sequencer = new Sequencer();
  readonly #nodes: readonly CalcNode[];
  readonly #dispatcher: Dispatcher;
  readonly #configuration: Configuration;
  /** The flush that was paused, or null. */
  #pass: Work | null = null;
  #emit: Emit = () => {};
  #isInSync = false;
  #announced = false;

  constructor(node: string, local: LocalWords) {
    const members = new IpSetMembers(this.#sequencer);
    const scanner = new RuleScanner(members, this.#sequencer);
    const endpoints = { all: new LabelIndex(), ofHost: new LabelIndex() };
    const order = new PolicyOrder(endpoints, this.#sequencer);
    this.#configuration = new Configuration(node, local, this.#sequencer);
    this.#nodes = [
      new ActivePolicies(endpoints, scanner, order), // tells scanner and order on flush
      new ActiveProfiles(scanner), //                   likewise the scanner
      scanner, //                                       drops sets only after all who use sets have spoken
      members, //                                       fills the sets that are new
      order, //                                         after all matches are known
      new Routes(node, this.#sequencer),
      this.#configuration,
    ];
    this.#dispatcher = new Dispatcher(node, this.#nodes);
  }

  onUpdates(updates: readonly Update[]): void {
    this.#dispatcher.onUpdates(updates);
  }

  onStatus(status: SyncStatus): void {
    if (status === 'in-sync') this.#isInSync = true;
  }

  flush(emit: Emit, shouldPause: () => boolean = never): boolean {
    this.#emit = emit;
    do {
      this.#pass ??= this.#newPass();
      while (!this.#pass.next().done) if (shouldPause()) return false;
      this.#pass = null;
    } while (this.#isBehind());
    return true;
  }

  /** In-sync counts from its start: what was told before it is told in it. */
  *#newPass(): Work {
    const isInSync = this.#isInSync;
    yield* this.#dispatcher.flush();
    for (const node of this.#nodes) yield* node.flush();
    if (!isInSync) return;
    const messages: DataplaneMessage[] = [];
    yield* this.#sequencer.flush((message) => messages.push(message));
    if (!this.#announced) messages.push({ kind: 'in-sync' });
    this.#announced = true;
    for (const message of messages) this.#emit(message);
  }

  #isBehind(): boolean {
    return this.#dispatcher.hasPending || (this.#isInSync && !this.#announced);
  }

  settings(): readonly Setting[] {
    return this.#configuration.settings();
  }

  describe(): readonly NodeDescription[] {
    const sequencer = { name: 'sequencer', consumes: [], feeds: [] };
    return [...this.#nodes, sequencer].map(({ name, consumes, feeds }) => ({ name, consumes, feeds }));
  }
}

function never(): boolean {
  return false;
}
