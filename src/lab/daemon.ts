// SPDX-License-Identifier: Apache-2.0
/**
 * The lab's own process: what machines, a scheduler and kubelets are to a cluster.
 *
 * Owns:       the fabric, the agents' processes, the Pods, the numbers of Services. Takes in: lab.json and the store.
 * Gives out:  `settled` on a Unix socket: the revision up to which Pods were made, with what the lab itself wrote.
 * Invariants: killed and started anew it takes up what stands; SIGTERM ends its processes and leaves namespaces to `down`.
 * Next:       fabric.ts, agents.ts, pods.ts, services.ts; up.ts starts this process.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { destination, pino } from 'pino';
import type { Datastore, Stored } from '../contract/datastore.ts';
import { later, parsePosition, positionOf, reached } from '../contract/revision.ts';
import { openDatastore } from '../datastore/open.ts';
import { isBpffs, mountBpffs } from '../kernel/bpf/bpffs.ts';
import type { Cidr, Revision } from '../lib/brand.ts';
import { tryParseCidr } from '../lib/cidr.ts';
import { AppError } from '../lib/errors.ts';
import { Notice } from '../lib/notice.ts';
import type { ResourceKind } from '../model/types.ts';
import { Agents } from './agents.ts';
import { buildFabric } from './fabric.ts';
import type { LabLayout } from './layout.ts';
import { Pods } from './pods.ts';
import { Services } from './services.ts';
import { readSpec } from './spec-file.ts';
import { labDatastore } from './store-place.ts';
import { keepStoreServer } from './store-server.ts';

export async function runLabDaemon(layout: LabLayout): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const log = pino({ base: { lab: layout.folder } }, destination({ dest: 1, sync: true }));
  const spec = readSpec(layout);
  writeFileSync(layout.daemonPid, `${process.pid}\n`);

  if (!isBpffs(layout.bpffs)) mountBpffs(layout.bpffs);
  buildFabric(layout, spec);
  await using store = await openDatastore(labDatastore(layout, spec.datastore), {
    missing: 'make',
    writer: 'muslin lab',
  });
  const keeping = keepStoreServer(layout, spec, stop.signal, (error) =>
    log.error({ err: error }, 'the store does not start; trying again'),
  );
  const agents = new Agents(layout, log);
  agents.start(spec);
  const pods = new Pods(layout, spec, store, log);
  const settled = new Settled(store, pods, new Services(store, log));
  const server = await serve(layout, settled);
  await settled.run(stop.signal, (error) => log.error({ err: error }, 'pods do not converge; trying again'));

  server.close();
  await keeping;
  pods.close();
  await agents.stop();
}

/** A kind that is quiet tells no position: one who waits for it makes us look. */
const askEveryMs = 250;

/** Follows the store: after every change Pods and Services are made to agree, until a pass finds nothing new. */
class Settled {
  readonly #store: Datastore;
  readonly #pods: Pods;
  readonly #services: Services;
  readonly #settled = new Notice();
  readonly #asked = new Notice();
  #revision: Revision | null = null;

  constructor(store: Datastore, pods: Pods, services: Services) {
    this.#store = store;
    this.#pods = pods;
    this.#services = services;
  }

  async run(signal: AbortSignal, onError: (error: unknown) => void): Promise<void> {
    while (!signal.aborted) {
      try {
        const { items, revision } = await this.#store.snapshot();
        const of = (kind: ResourceKind) => items.filter((item) => item.key.kind === kind);
        await this.#services.converge(of('Service'));
        await this.#pods.converge(of('Pod'), poolsOf(items));
        this.#settle(revision);
        await this.#untilChanged(revision, signal);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        onError(error);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  /** Or until somebody waits for a position that nothing was written at. */
  async #untilChanged(revision: Revision, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const stop = () => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    void this.#asked.next(over.signal).then(stop);
    const changed = this.#store.watch(revision, over.signal)[Symbol.asyncIterator]();
    try {
      await changed.next();
      await changed.return?.(undefined);
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  /** Resolves with that position and ours once everything up to `revision` was seen and done; null: not in time, or the store is away. */
  async until(revision: Revision, signal: AbortSignal): Promise<Revision | null> {
    const asking = setInterval(() => this.#asked.ring(), askEveryMs);
    while (!this.#isSettled(revision) && !signal.aborted) await this.#settled.next(signal);
    clearInterval(asking);
    if (!this.#isSettled(revision)) return null;
    const ours = await this.#ours().catch(unlessRefused);
    return ours && later(revision, positionOf(ours));
  }

  /** What this process writes back. */
  async #ours(): Promise<readonly Stored[]> {
    const lists = await Promise.all([this.#store.list('Pod'), this.#store.list('Service')]);
    return lists.flatMap(({ items }) => items);
  }

  #isSettled(revision: Revision): boolean {
    return this.#revision !== null && reached(this.#revision, revision);
  }

  #settle(revision: Revision): void {
    this.#revision = revision;
    this.#settled.ring();
  }
}

function unlessRefused(error: unknown): null {
  if (error instanceof AppError) return null;
  throw error;
}

function poolsOf(items: readonly Stored[]): readonly Cidr[] {
  return items.flatMap(({ key, resource }) => {
    if (key.kind !== 'IPPool') return [];
    const spec = resource.spec as { cidr?: string; disabled?: boolean } | undefined;
    const cidr = tryParseCidr(spec?.cidr ?? '');
    return cidr && spec?.disabled !== true ? [cidr] : [];
  });
}

function serve(layout: LabLayout, settled: Settled): Promise<Server> {
  rmSync(layout.daemonSocket, { force: true });
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://lab');
    const revision = url.searchParams.get('revision') ?? '';
    if (url.pathname !== '/settled' || parsePosition(revision) === null) {
      response.writeHead(404).end();
      return;
    }
    const timeoutMs = Number(url.searchParams.get('timeoutMs') ?? '10000');
    if (!(timeoutMs >= 0 && timeoutMs < 2 ** 31)) {
      response.writeHead(400).end();
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(timeoutMs)]);
    void settled.until(revision as Revision, signal).then((settledAt) => {
      response.writeHead(settledAt === null ? 503 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ revision: settledAt }));
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(layout.daemonSocket, () => resolve(server));
  });
}
