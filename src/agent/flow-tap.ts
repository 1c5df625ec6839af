// SPDX-License-Identifier: Apache-2.0
/** What the data plane tells of flows, to all who listen: the memory of the last ones, followers, and the log for Log rules. */
import type { FlowRecord, ObservedDataplane } from '../contract/flow.ts';
import { FlowMemory, type RememberedFlows } from '../observe/flow-memory.ts';
import type { Log } from './log.ts';

export type FlowFollower = (flows: readonly FlowRecord[], lost: number) => void;

/** Some ten megabytes; at a hundred new flows a second more than a minute. */
const remembered = 8192;

export class FlowTap {
  readonly #memory = new FlowMemory(remembered);
  readonly #followers = new Set<FlowFollower>();
  readonly #log: Log;

  constructor(driver: ObservedDataplane, log: Log) {
    this.#log = log;
    driver.onFlows((flows, lost) => this.#onFlows(flows, lost));
  }

  last(): RememberedFlows {
    return this.#memory.last();
  }

  /** @returns what ends it. */
  follow(follower: FlowFollower): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  #onFlows(flows: readonly FlowRecord[], lost: number): void {
    this.#memory.add(flows, lost);
    for (const follower of this.#followers) follower(flows, lost);
    for (const flow of flows) this.#writeLogs(flow);
  }

  /** As the kernel's own log would have it: the rule's prefix, then the packet. */
  #writeLogs({ logs, trace, ...flow }: FlowRecord): void {
    for (const { rule, prefix } of logs) this.#log.info({ rule, flow }, prefix);
  }
}
