// SPDX-License-Identifier: Apache-2.0
/**
 * One Watch call to one member: its answers made whole, its silence noticed, and how far it has told everything.
 *
 * etcd before 3.4.31 and 3.5.13 may answer a progress request with a revision before it has sent the events up to it (etcd
 * issue 15220; Kubernetes draws the same line). Of these servers an answer counts only after a second one, asked for later, came
 * and no event between: what was on its way when the first was given has gone out before the second.
 */
import { create } from '@bufbuild/protobuf';
import { ConnectError } from '@connectrpc/connect';
import { UnavailableError } from '../../lib/errors.ts';
import { type WatchRequest, WatchRequestSchema, type WatchResponse } from './api/etcd_pb.ts';
import { classOf } from './faults.ts';
import { everything } from './layout.ts';
import type { Members } from './members.ts';
import { Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';

/** How long a quiet watch waits before it asks how far it is. */
const quietMs = 1000;
/** The same, when an answer is to be confirmed. */
const confirmMs = 200;
/** Asked every second and no answer: dead, or nobody home. With the try that follows it is known within 10 s. */
const silentMs = 6000;
const statusMs = 3000;
/** Of answers to progress requests; of progress that etcd tells by itself it is the watch's own, and to be trusted always. */
const noWatch = -1n;

export class WatchStream implements AsyncDisposable {
  readonly peer: Peer;
  readonly #startRevision: bigint;
  readonly #isTrusted: boolean;
  readonly #outbox = new Outbox<WatchRequest>();
  readonly #over = new AbortController();
  readonly #iterator: AsyncIterator<WatchResponse>;
  /** True once every event of the past was surely sent: what comes is news. */
  #isCaughtUp = false;
  /** Told by an answer, to be confirmed by the answer to a question that was asked later. */
  #claim: { readonly revision: bigint; readonly askedBefore: number } | null = null;
  #asked = 0;
  #answered = 0;

  private constructor(
    peer: Peer,
    startRevision: bigint,
    isTrusted: boolean,
    headers: Record<string, string>,
    signal: AbortSignal,
  ) {
    this.peer = peer;
    this.#startRevision = startRevision;
    this.#isTrusted = isTrusted;
    this.#outbox.put(creation(startRevision));
    this.#ask();
    const either = AbortSignal.any([signal, this.#over.signal]);
    this.#iterator = peer.watch.watch(this.#outbox, { headers, signal: either })[Symbol.asyncIterator]();
  }

  static async open(members: Members, startRevision: bigint, signal: AbortSignal): Promise<WatchStream> {
    const { peer } = members;
    try {
      const headers = await members.headers(peer);
      const isTrusted = await tellsProgressInOrder(peer, headers);
      return new WatchStream(peer, startRevision, isTrusted, headers, signal);
    } catch (error) {
      members.leave(peer);
      throw error;
    }
  }

  /** Each with all events of its revisions, or none. */
  async *answers(): AsyncGenerator<WatchResponse> {
    const parts: WatchResponse[] = [];
    for (let next = await this.#next(); next.done !== true; next = await this.#next()) {
      parts.push(next.value);
      if (next.value.fragment) continue;
      const whole = joined(parts.splice(0));
      if (whole.created) this.#isCaughtUp = (whole.header?.revision ?? 0n) < this.#startRevision;
      yield whole;
      if (whole.events.length > 0) this.#claim = null;
    }
  }

  /**
   * Up to where an answer without events says that all was told; null: it says nothing of that, or nothing new.
   *
   * @param position - up to which it is known already.
   */
  progressOf(answer: WatchResponse, position: bigint): bigint | null {
    const revision = answer.header?.revision ?? 0n;
    if (answer.created) return null;
    if (answer.watchId !== noWatch) return revision;
    this.#answered++;
    if (this.#isTrusted) return revision;
    const claim = this.#claim;
    if (claim && this.#answered <= claim.askedBefore) return null;
    if (claim) this.#isCaughtUp = true;
    const known = claim && claim.revision > position ? claim.revision : position;
    this.#claim = revision > known ? { revision, askedBefore: this.#asked } : null;
    return claim ? known : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#outbox.end();
    this.#over.abort();
  }

  #ask(): void {
    this.#asked++;
    this.#outbox.put(progressQuestion());
  }

  async #next(): Promise<IteratorResult<WatchResponse>> {
    const askEachMs = this.#claim !== null && this.#isCaughtUp ? confirmMs : quietMs;
    let silence = 0;
    const timer = setInterval(() => {
      silence += askEachMs;
      if (silence < silentMs) this.#ask();
      else this.#over.abort(new UnavailableError(`etcd at ${this.peer.name} was silent for ${silence} ms`));
    }, askEachMs);
    try {
      return await this.#iterator.next();
    } catch (error) {
      throw this.#over.signal.aborted ? this.#over.signal.reason : error;
    } finally {
      clearInterval(timer);
    }
  }
}

function creation(startRevision: bigint): WatchRequest {
  const value = {
    key: Buffer.from(everything.start),
    rangeEnd: Buffer.from(everything.end),
    startRevision,
    progressNotify: true,
    fragment: true,
  };
  return create(WatchRequestSchema, { requestUnion: { case: 'createRequest', value } });
}

function progressQuestion(): WatchRequest {
  return create(WatchRequestSchema, { requestUnion: { case: 'progressRequest', value: {} } });
}

function joined(parts: readonly WatchResponse[]): WatchResponse {
  const [first, ...others] = parts;
  if (!first) throw new TypeError('no parts');
  if (others.length > 0) first.events = parts.flatMap(({ events }) => events);
  return first;
}

async function tellsProgressInOrder(peer: Peer, headers: Record<string, string>): Promise<boolean> {
  const answer = await peer.maintenance
    .status({}, { headers, timeoutMs: statusMs })
    .catch((error: unknown) => unlessRefused(error));
  const [major = 0, minor = 0, patch = 0] = (answer?.version ?? '')
    .split('.')
    .map((part) => parseInt(part, 10));
  if (major !== 3) return major > 3;
  return minor > 5 || (minor === 5 && patch >= 13) || (minor === 4 && patch >= 31);
}

/** Roles may not allow the question: then we do not know. */
function unlessRefused(error: unknown): null {
  if (classOf(ConnectError.from(error)) === 'answer') return null;
  throw error;
}
