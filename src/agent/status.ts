// SPDX-License-Identifier: Apache-2.0
/**
 * What an agent tells of itself: how far it read, what is in force, what failed. Served over HTTP on a Unix socket:
 *
 *     GET /readiness  204 when the store was read and all of it is in force; else 503 with the reasons
 *     GET /liveness   204 while the event loop turns
 *     GET /status     the whole as JSON, StatusReport
 *     GET /enforced?revision=R&timeoutMs=M   204 once the store's position R is in force on this node; else 503
 *     POST /confirm-deletions   what E-MASSDELETE holds back is meant
 *     GET /flows, /ebpf/...   what the data plane does: looking.ts
 *
 * Health answers are Calico's (felix: 204 without detail when healthy, 503 when not).
 */
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import type { DataplaneName } from '../contract/config.ts';
import type { ApplyFailure, ApplyReport } from '../contract/dataplane.ts';
import type { SyncStatus } from '../contract/datastore.ts';
import { parsePosition, reached } from '../contract/revision.ts';
import type { HeldDeletion } from '../datastore/mass-deletion.ts';
import type { StoreSyncer, SyncerOptions } from '../datastore/syncer.ts';
import type { Revision } from '../lib/brand.ts';
import type { AppError, Fault } from '../lib/errors.ts';
import { Notice } from '../lib/notice.ts';
import type { Setting } from '../model/felix/settings.ts';
import { keyPath } from '../model/kinds.ts';
import type { ApplyLoopOptions } from '../reconcile/apply-loop.ts';
import type { ResourceFaults } from '../services/graph.ts';
import type { BatchListener } from './batcher.ts';
import type { AgentConfig } from './config.ts';
import type { Log } from './log.ts';
import type { Looking } from './looking.ts';

/** How long the watch may take before a list is read for whoever waits. */
const askAfterMs = 100;

export interface StatusReport {
  readonly node: string;
  readonly pid: number;
  readonly dataplane: DataplaneName;
  readonly ready: boolean;
  /** Empty when ready. */
  readonly reasons: readonly string[];
  readonly datastore: SyncStatus | 'unreachable';
  /** The store's position that is in force here. */
  readonly enforcedRevision: string;
  readonly openEndpoints: readonly string[];
  readonly failures: readonly ApplyFailure[];
  /** Stored resources that are not in force as written: invalid, hence absent, or asking for what is not supported yet. */
  readonly invalid: readonly { readonly resource: string; readonly faults: readonly Fault[] }[];
  readonly applies: number;
  /** Of this node, as far as any layer sets them; `effect` says what each does. */
  readonly settings: readonly Setting[];
  /** How often the store was compared with what is known of it, and how many objects a watch had not told. */
  readonly audits: { readonly done: number; readonly repaired: number };
  /** E-MASSDELETE: deletions that are not believed until confirmed. */
  readonly heldDeletions: readonly HeldDeletion[];
}

export class AgentStatus implements BatchListener {
  readonly #node: string;
  readonly #dataplane: DataplaneName;
  readonly #log: Log;
  readonly #newlyEnforced = new Notice();
  readonly #invalid = new Map<string, readonly Fault[]>();
  #sync: SyncStatus | 'unreachable' = 'wait-for-ready';
  /** Of the store, as it was told last. */
  #lastProblem = '';
  #told: Revision = '0' as Revision;
  /** Messages are on their way that no apply has taken up, or that the last one did not get into force. */
  #pending = false;
  #applying: Revision | null = null;
  #flushed: Revision = '0' as Revision;
  #enforced: Revision | null = null;
  #report: ApplyReport | null = null;
  #error: string | null = null;
  #applies = 0;
  #settings: () => readonly Setting[] = () => [];
  #ofServices: () => readonly ResourceFaults[] = () => [];
  #syncing: Pick<StoreSyncer, 'audit' | 'confirmDeletions'> | null = null;
  #held: readonly HeldDeletion[] = [];
  #audits = 0;
  #repairs = 0;

  constructor(config: Pick<AgentConfig, 'node' | 'dataplane'>, log: Log) {
    this.#node = config.node;
    this.#dataplane = config.dataplane;
    this.#log = log;
  }

  /** @param onPosition - is to flush, after which `onFlush` says that what was told up to there is calculated. */
  ofSyncer(onPosition: () => void = () => {}): SyncerOptions {
    return {
      onFaults: (key, faults) => this.#onFaults(keyPath(key), faults),
      onUnavailable: (error, retryMs) => this.#onUnavailable(error, retryMs),
      onRevision: (revision) => {
        this.#told = revision;
        onPosition();
      },
      onAudit: (repaired) => this.#onAudit(repaired),
      onHeld: (held) => this.#onHeld(held),
    };
  }

  ofApplies(): Pick<ApplyLoopOptions, 'onStart' | 'onReport' | 'onError'> {
    return {
      onStart: () => this.#onStart(),
      onReport: (report) => this.#onReport(report),
      onError: (error) => this.#onError(error),
    };
  }

  onStatus(status: SyncStatus): void {
    this.#sync = status;
    this.#log.info({ status }, 'datastore');
  }

  /** A flush without messages leaves nothing to apply: what was told is in force already. */
  onFlush(messages: number): void {
    this.#flushed = this.#told;
    if (messages > 0) this.#pending = true;
    else if (!this.#pending && this.#applying === null && this.#enforced !== null)
      this.#setEnforced(this.#flushed);
  }

  /** @param syncing - who looks when a position is waited for, and who holds deletions back. */
  showSyncing(syncing: Pick<StoreSyncer, 'audit' | 'confirmDeletions'>): void {
    this.#syncing = syncing;
  }

  /** @returns what was held back. */
  confirmDeletions(): readonly HeldDeletion[] {
    const held = this.#held;
    this.#syncing?.confirmDeletions();
    return held;
  }

  /** @param settings - asked for each report anew. */
  showSettings(settings: () => readonly Setting[]): void {
    this.#settings = settings;
  }

  /** @param faults - what of services is not in force as written; asked for each report anew. */
  showServices(faults: () => readonly ResourceFaults[]): void {
    this.#ofServices = faults;
  }

  /** The data plane did all that it could when it last tried: what it has in force, it keeps up. */
  isServing(): boolean {
    return this.#report !== null && this.#error === null;
  }

  report(): StatusReport {
    const reasons = this.#reasons();
    return {
      node: this.#node,
      pid: process.pid,
      dataplane: this.#dataplane,
      ready: reasons.length === 0,
      reasons,
      datastore: this.#sync,
      enforcedRevision: this.#enforced ?? '0',
      openEndpoints: this.#report?.openEndpoints ?? [],
      failures: this.#report?.failed ?? [],
      invalid: this.#invalidResources(),
      applies: this.#applies,
      settings: this.#settings(),
      audits: { done: this.#audits, repaired: this.#repairs },
      heldDeletions: this.#held,
    };
  }

  /** What the syncer found wrong, and what services found beyond that. */
  #invalidResources(): StatusReport['invalid'] {
    const all = new Map(this.#invalid);
    for (const { path, faults } of this.#ofServices()) {
      const known = all.get(path) ?? [];
      const isNew = (fault: Fault) =>
        !known.some(({ path: at, message }) => at === fault.path && message === fault.message);
      all.set(path, [...known, ...faults.filter(isNew)]);
    }
    return [...all].map(([resource, faults]) => ({ resource, faults }));
  }

  /** @returns whether the revision was in force within the time. */
  async untilEnforced(revision: Revision, signal: AbortSignal): Promise<boolean> {
    const asking = setInterval(() => this.#askIfBehind(revision), askAfterMs);
    while (!this.#isEnforced(revision) && !signal.aborted) await this.#newlyEnforced.next(signal);
    clearInterval(asking);
    return this.#isEnforced(revision);
  }

  #isEnforced(revision: Revision): boolean {
    return this.#enforced !== null && reached(this.#enforced, revision);
  }

  /** A kind to which nothing was written may be silent for a minute (Kubernetes' bookmarks): a list tells where it stands. */
  #askIfBehind(revision: Revision): void {
    if (!reached(this.#told, revision)) this.#syncing?.audit();
  }

  #setEnforced(revision: Revision): void {
    this.#enforced = revision;
    this.#newlyEnforced.ring();
  }

  /** Of an outage that lasts the log tells once. */
  #onUnavailable(error: AppError, retryMs: number): void {
    const level = this.#sync === 'unreachable' && this.#lastProblem === error.message ? 'debug' : 'warn';
    this.#sync = 'unreachable';
    this.#lastProblem = error.message;
    this.#log[level]({ err: error, retryMs }, 'the datastore cannot be used; what is in force stays');
  }

  #onAudit(repaired: number): void {
    this.#audits++;
    this.#repairs += repaired;
    if (repaired > 0) this.#log.warn({ repaired }, 'the watch had not told everything; a full list did');
  }

  #onHeld(held: readonly HeldDeletion[]): void {
    const changed = JSON.stringify(held) !== JSON.stringify(this.#held);
    this.#held = held;
    if (changed && held.length > 0)
      this.#log.error({ held }, 'E-MASSDELETE: the store lacks very many objects; they stay in force');
  }

  #onFaults(resource: string, faults: readonly Fault[]): void {
    if (faults.length === 0) {
      this.#invalid.delete(resource);
      return;
    }
    this.#invalid.set(resource, faults);
    this.#log.warn({ resource, faults }, 'a stored resource is not in force as written');
  }

  #onStart(): void {
    this.#applying = this.#flushed;
    this.#pending = false;
  }

  #onReport(report: ApplyReport): void {
    const applied = this.#applying;
    this.#applying = null;
    this.#applies++;
    this.#error = null;
    this.#report = report;
    if (report.failed.length > 0) this.#log.error({ failed: report.failed }, 'not all could be programmed');
    this.#log.debug({ changed: report.changed }, 'applied');
    if (report.failed.length > 0) this.#pending = true;
    else if (applied !== null) this.#setEnforced(applied);
    // flushes without messages while it ran left nothing to do
    if (!this.#pending && this.#flushed !== applied) this.#setEnforced(this.#flushed);
  }

  #onError(error: unknown): void {
    this.#applying = null;
    this.#pending = true;
    this.#error = error instanceof Error ? error.message : String(error);
    this.#log.error({ err: error }, 'apply failed');
  }

  #reasons(): readonly string[] {
    const failed = this.#report?.failed ?? [];
    return [
      ...(this.#sync === 'in-sync' ? [] : [`datastore: ${this.#sync}`]),
      ...this.#held.map(heldText),
      ...(this.#report ? [] : ['nothing was applied yet']),
      ...(this.#error === null ? [] : [`data plane: ${this.#error}`]),
      ...failed.map((failure) => `${failure.table} ${failure.key}: ${failure.message}`),
    ];
  }
}

function heldText({ kind, missing, of }: HeldDeletion): string {
  return `E-MASSDELETE: the datastore lacks ${missing} of ${of} ${kind}: they stay in force until you confirm (muslin datastore confirm-deletions) or they are back`;
}

export async function serveStatus(
  config: AgentConfig,
  status: AgentStatus,
  looking: Looking,
): Promise<AsyncDisposable & { readonly path: string }> {
  mkdirSync(dirname(config.socket), { recursive: true, mode: 0o700 });
  rmSync(config.socket, { force: true }); // left by an agent that was killed
  const server = createServer((request, response) => void answer(status, looking, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.socket, resolve);
  });
  return {
    path: config.socket,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  status: AgentStatus,
  looking: Looking,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://agent');
  const report = status.report();
  switch (url.pathname) {
    case '/liveness':
      return end(response, 204);
    case '/readiness':
      return report.ready ? end(response, 204) : end(response, 503, { reasons: report.reasons });
    case '/status':
      return end(response, 200, report);
    case '/confirm-deletions':
      if (request.method !== 'POST') return end(response, 405, { reasons: ['want POST'] });
      return end(response, 200, { confirmed: status.confirmDeletions() });
    case '/enforced':
      return answerEnforced(status, url, response);
    default:
      if (await looking.answer(url, response)) return;
      return end(response, 404, {
        reasons: [
          'want /readiness, /liveness, /status, /enforced?revision=R, /confirm-deletions, /flows or /ebpf/...',
        ],
      });
  }
}

async function answerEnforced(status: AgentStatus, url: URL, response: ServerResponse): Promise<void> {
  const revision = url.searchParams.get('revision') ?? '';
  const timeoutMs = Number(url.searchParams.get('timeoutMs') ?? '10000');
  if (parsePosition(revision) === null || !(timeoutMs >= 0 && timeoutMs <= 600_000)) {
    return end(response, 400, {
      reasons: ['want revision=R, as this datastore gives them, and timeoutMs from 0 to 600000'],
    });
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(timeoutMs)]);
  if (await status.untilEnforced(revision as Revision, signal)) return end(response, 204);
  end(response, 503, { reasons: status.report().reasons });
}

function end(response: ServerResponse, code: number, body?: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
