// SPDX-License-Identifier: Apache-2.0
/**
 * Services on this node, where its data plane balances them itself: their graph, its way to the driver, health checks.
 * Where kube-proxy balances them nothing of it is made.
 */
import type { SyncStatus } from '../contract/datastore.ts';
import type { TranslatingDataplane } from '../contract/services.ts';
import type { ApplyLoop } from '../reconcile/apply-loop.ts';
import { ServiceGraph } from '../services/graph.ts';
import type { BatchListener, ServiceFlow } from './batcher.ts';
import type { AgentConfig } from './config.ts';
import { HealthChecks } from './health-checks.ts';
import type { Log } from './log.ts';
import type { AgentStatus } from './status.ts';

export class NodeServices implements BatchListener, Disposable {
  readonly flow: ServiceFlow | null;
  readonly #status: AgentStatus;
  readonly #checks: HealthChecks;

  constructor(
    config: AgentConfig,
    driver: TranslatingDataplane,
    applying: ApplyLoop,
    status: AgentStatus,
    log: Log,
  ) {
    this.#status = status;
    this.#checks = new HealthChecks(() => status.isServing(), log);
    const graph = config.dataplane === 'ebpf' ? new ServiceGraph(config) : null;
    this.flow = graph && {
      graph,
      emit: (message) => {
        driver.onTranslation(message);
        applying.applySoon();
      },
    };
    if (graph) status.showServices(() => [...graph.faults(), ...this.#checks.faults()]);
  }

  onStatus(status: SyncStatus): void {
    this.#status.onStatus(status);
  }

  onFlush(messages: number): void {
    this.#status.onFlush(messages);
    if (this.flow) this.#checks.serve(this.flow.graph.healthChecks());
  }

  [Symbol.dispose](): void {
    this.#checks[Symbol.dispose]();
  }
}
