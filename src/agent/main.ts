// SPDX-License-Identifier: Apache-2.0
/**
 * The node agent: store, calculation graph, driver, kernel, until told to stop.
 *
 * Owns:       the wiring of one node, and nothing else.
 * Takes in:   config.ts from arguments and environment. Gives out: an enforced node, its status on a Unix socket.
 * Invariants: nothing is written to the kernel before the store was read whole; SIGTERM leaves the kernel as it is;
 *             a restart adopts what it finds; loss of the store changes nothing but the status.
 * Next:       batcher.ts joins store and graph, remote-driver.ts runs the driver beside them, status.ts reports.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { buildGraph } from '../calc/graph.ts';
import type { DataplaneDriver } from '../contract/dataplane.ts';
import { placeText } from '../datastore/config.ts';
import { openDatastore } from '../datastore/open.ts';
import { StoreSyncer } from '../datastore/syncer.ts';
import { UnsupportedError } from '../lib/errors.ts';
import { ApplyLoop } from '../reconcile/apply-loop.ts';
import { Batcher } from './batcher.ts';
import type { AgentConfig } from './config.ts';
import { openLog } from './log.ts';
import { Looking } from './looking.ts';
import { NodeServices } from './node-services.ts';
import { RemoteDriver } from './remote-driver.ts';
import { AgentStatus, serveStatus } from './status.ts';

export async function runAgent(config: AgentConfig): Promise<void> {
  const log = openLog(config);
  const stop = untilSignal(['SIGTERM', 'SIGINT']);
  const status = new AgentStatus(config, log);
  await using store = await openDatastore(config.datastore, {
    missing: 'wait',
    onStrange: (entry) => log.warn(entry, 'passed over in the datastore'),
  }); //                                                        tier 1  what users want, wherever it is kept
  const graph = buildGraph(config); //                          tier 2  what this node must do for it
  await using driver = new RemoteDriver(config, log); //       tier 3  the same in one data plane's terms, in a worker
  await wantAll(driver);
  const applying = new ApplyLoop(driver, { sleep, ...status.ofApplies() }); // tier 4  the kernel, kept so
  using services = new NodeServices(config, driver, applying, status, log); // beside 2: where the data plane balances them
  status.showSettings(() => graph.settings());
  const batches = new Batcher(graph, (message) => applying.onMessage(message), services, services.flow);
  const syncer = new StoreSyncer(
    store,
    status.ofSyncer(() => batches.onPosition()),
  );
  status.showSyncing(syncer);

  await using server = await serveStatus(config, status, new Looking(config.node, driver, log));
  log.info(
    { node: config.node, datastore: placeText(config.datastore), status: server.path },
    'agent started',
  );
  await Promise.all([syncer.run(batches, stop), applying.run(stop)]);
  log.info('agent stops; the kernel keeps what it has');
}

/** @throws {UnsupportedError} with everything that this host lacks. */
async function wantAll(driver: DataplaneDriver): Promise<void> {
  const lacking = await driver.probe();
  if (lacking.length > 0)
    throw new UnsupportedError(`this host cannot run ${driver.name}: it lacks ${lacking.join('; ')}`);
}

function untilSignal(signals: readonly NodeJS.Signals[]): AbortSignal {
  const stop = new AbortController();
  for (const signal of signals) process.once(signal, () => stop.abort(signal));
  return stop.signal;
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {}); // an abort only ends the wait
}
