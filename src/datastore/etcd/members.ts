// SPDX-License-Identifier: Apache-2.0
/**
 * The members of one etcd, asked in turn until one answers, and the token that says who we are.
 *
 * Owns:       which member is asked, the token, time limits. Takes in: a request. Gives out: its answer, or an AppError.
 * Invariants: what may have been done is not done a second time; a stale token is renewed once; no clock but timers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type CallOptions, Code, ConnectError } from '@connectrpc/connect';
import { InvalidError, UnavailableError } from '../../lib/errors.ts';
import type { EtcdConfig } from '../config.ts';
import { appErrorOf, classOf } from './faults.ts';
import { openPeer, type Peer } from './peer.ts';

/** One try at one member. */
export type Request<T> = (peer: Peer, options: CallOptions) => Promise<T>;

/** `read`: may be repeated at will. `write`: only when it was certainly not done. */
export type Repeat = 'read' | 'write';

const callMs = 10_000;
/** Where there is another member to ask, one that is silent is given less time. */
const firstReadMs = 4000;
/** Comparing a password is made slow on purpose: a tenth of a second. */
const tokenMs = 4000;
/** An election takes one to two seconds. */
const electionPauseMs = 200;

export class Members {
  readonly #config: EtcdConfig;
  readonly #peers: readonly Peer[];
  readonly #closed = new AbortController();
  #current = 0;
  #token: Promise<string> | null = null;

  /** @throws {InvalidError} */
  constructor(config: EtcdConfig) {
    if (config.endpoints.length === 0) throw new InvalidError('etcd: got no endpoint, want at least one');
    this.#config = config;
    this.#peers = config.endpoints.map((endpoint) => openPeer(endpoint, config.tls));
  }

  /**
   * @param what - for messages: `list Tier`.
   * @param limitMs - for all tries together.
   */
  async call<T>(what: string, repeat: Repeat, request: Request<T>, limitMs: number = callMs): Promise<T> {
    const end = performance.now() + limitMs;
    for (let tries = 1; ; tries++) {
      this.wantOpen();
      const peer = this.peer;
      const allowedMs = this.#tryMs(repeat, tries, end);
      try {
        return await this.#authorized(peer, allowedMs, request);
      } catch (error) {
        await this.#nextOrThrow(ConnectError.from(error), what, repeat, { tries, peer, end });
      }
    }
  }

  /** The member that is asked next. */
  get peer(): Peer {
    const peer = this.#peers[this.#current % this.#peers.length];
    if (!peer) throw new TypeError('no members');
    return peer;
  }

  /** `peer` does not answer: ask another, unless somebody found that out already. */
  leave(peer: Peer): void {
    if (peer === this.peer) this.#current = (this.#current + 1) % this.#peers.length;
  }

  /** What every request says of itself: that a member without a leader shall not answer it, and who asks. */
  async headers(peer: Peer): Promise<Record<string, string>> {
    const token = await this.#tokenFrom(peer);
    return { hasleader: 'true', ...(token === '' ? {} : { token }) };
  }

  forgetToken(): void {
    this.#token = null;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  wantOpen(): void {
    if (this.#closed.signal.aborted) throw new UnavailableError('the datastore was closed');
  }

  close(): void {
    this.#closed.abort();
    for (const peer of this.#peers) peer.close();
  }

  /** Whole milliseconds: gRPC's header knows no others. */
  #tryMs(repeat: Repeat, tries: number, end: number): number {
    const leftMs = Math.max(1, Math.round(end - performance.now()));
    return repeat === 'read' && this.#peers.length > 1 && tries < this.#peers.length
      ? Math.min(firstReadMs, leftMs)
      : leftMs;
  }

  async #authorized<T>(peer: Peer, timeoutMs: number, request: Request<T>): Promise<T> {
    try {
      return await request(peer, { timeoutMs, headers: await this.headers(peer) });
    } catch (error) {
      if (classOf(ConnectError.from(error)) !== 'token' || !this.#config.username) throw error;
      this.forgetToken();
      return await request(peer, { timeoutMs, headers: await this.headers(peer) });
    }
  }

  async #nextOrThrow(
    error: ConnectError,
    what: string,
    repeat: Repeat,
    { tries, peer, end }: { readonly tries: number; readonly peer: Peer; readonly end: number },
  ): Promise<void> {
    const fault = classOf(error);
    const isSafe = fault === 'unsent' || fault === 'no-leader' || (fault === 'lost' && repeat === 'read');
    const mostTries = fault === 'no-leader' ? Number.POSITIVE_INFINITY : Math.max(2, this.#peers.length);
    if (fault !== 'answer' && fault !== 'token') this.leave(peer);
    this.wantOpen();
    if (!isSafe || tries >= mostTries || performance.now() + electionPauseMs > end)
      throw appErrorOf(
        error,
        `cannot ${what}: etcd at ${peer.name}${fault === 'lost' && repeat === 'write' ? ' (it may have been done)' : ''}`,
      );
    if (fault === 'no-leader') await delay(electionPauseMs);
  }

  /** Empty: nobody asks who we are. */
  #tokenFrom(peer: Peer): Promise<string> {
    const { username, password } = this.#config;
    if (!username) return Promise.resolve('');
    this.#token ??= this.#authenticate(peer, username, password?.reveal() ?? '').catch((error) => {
      this.#token = null;
      throw error;
    });
    return this.#token;
  }

  async #authenticate(peer: Peer, name: string, password: string): Promise<string> {
    try {
      const headers = { hasleader: 'true' };
      const { token } = await peer.auth.authenticate({ name, password }, { timeoutMs: tokenMs, headers });
      return token;
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (code === Code.FailedPrecondition && /authentication is not enabled/.test(rawMessage)) return '';
      throw error;
    }
  }
}
