// SPDX-License-Identifier: Apache-2.0
/**
 * One HTTP/2 connection to a Kubernetes API, under all requests and watches, made again when it was lost.
 *
 * Owns:       the session, its pings, time-outs, credentials. Takes in: requests. Gives out: answers whole, or line by line.
 * Invariants: a peer that is gone without a word is noticed within 10 s: every request and watch then fails with an
 *             UnavailableError. No token or key is part of an error.
 */
import http2 from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, ForbiddenError, InvalidError, UnavailableError } from '../../lib/errors.ts';
import type { ClusterAccess } from './access.ts';
import { Bearer } from './bearer.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly accept?: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** Seconds that the server asks us to wait; null: it asks nothing. */
  readonly retryAfter: number | null;
  readonly warnings: readonly string[];
}

const connectTimeoutMs = 5000;
const defaultPatienceMs = 30_000;
const pingEveryMs = 3000;
const pingTimeoutMs = 4000;
/** Per stream; of the connection below. The default of 64 kB makes lists of a hundred thousand pods crawl. */
const windowBytes = 4 * 1024 * 1024;
/** Ten times what an API stores as one object; whoever sends more without an end is no API. */
const largestLine = 16 * 1024 * 1024;
/** A server that is too busy says when to come again (429, Retry-After); one that asks for more is left to the caller. */
const busyTries = 5;
/** One that says of each connection that it takes no more is none to be asked. */
const untakenTries = 3;
const longestBusyMs = 10_000;

/** Megabytes, of all lists under way at once: beyond Node's 10 it refuses new streams (ENHANCE_YOUR_CALM). */
const maxSessionMemory = 512;

export class Connection implements AsyncDisposable {
  /** How long an answer may take, and a list may stand still. */
  readonly patienceMs: number;
  readonly #access: () => ClusterAccess;
  #open: Promise<Session> | null = null;
  /** Also those that take nothing new, under whose watches they stay. */
  readonly #sessions = new Set<Session>();
  #isClosed = false;

  /** @param access - read for each connection. */
  constructor(access: () => ClusterAccess, patienceMs: number = defaultPatienceMs) {
    this.#access = access;
    this.patienceMs = patienceMs;
  }

  /** @throws {UnavailableError} when no answer comes. Refusals are answers. */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#sendKnown(request);
      const waitMs = busyMs(answer, attempt);
      if (waitMs === null) return answer;
      await delay(waitMs);
    }
  }

  /** The lines of an answer of 200 as they come. Any other answer is the only thing that is yielded. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<ApiAnswer | readonly string[]> {
    for (let attempt = 1; ; attempt++) {
      const session = await this.#session();
      const answer = yield* this.#linesIfTaken(session, path, signal, attempt);
      if (answer === 'untaken') continue;
      if (answer === null || signal.aborted) return;
      const waitMs = answer.status === 401 && attempt === 1 ? 0 : busyMs(answer, attempt);
      if (waitMs === null) return yield answer;
      if (answer.status === 401) session.retire();
      await delay(waitMs, undefined, { signal }).catch(() => {}); // an abort only ends the wait
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = null;
    this.#isClosed = true;
    await open?.catch(() => null);
    for (const session of this.#sessions) session.end(new UnavailableError('the connection was closed'));
  }

  /** Certificates, tokens and programs are asked anew by the next session: what is not accepted now may have been rotated. */
  async #sendKnown(request: ApiRequest): Promise<ApiAnswer> {
    for (let attempt = 1; ; attempt++) {
      const session = await this.#session();
      try {
        const answer = await session.send(request);
        if (answer.status !== 401 || attempt > 1) return answer;
      } catch (error) {
        if (!(error instanceof UntakenError) || attempt === untakenTries) throw error;
      }
      session.retire();
    }
  }

  async *#linesIfTaken(
    session: Session,
    path: string,
    signal: AbortSignal,
    attempt: number,
  ): AsyncGenerator<readonly string[], ApiAnswer | null | 'untaken'> {
    try {
      return yield* session.lines(path, signal);
    } catch (error) {
      if (!(error instanceof UntakenError) || attempt >= untakenTries) throw error;
      session.retire();
      return 'untaken';
    }
  }

  /** Who come while it is being opened wait for the same. */
  async #session(): Promise<Session> {
    for (;;) {
      if (this.#isClosed) throw new UnavailableError('the connection was closed');
      this.#open ??= this.#made(Session.open(this.#access(), this.patienceMs));
      const opening = this.#open;
      const session = await opening.catch((error: unknown) => this.#forget(opening, error));
      if (!session.isOver) return session;
      if (this.#open === opening) this.#open = null;
    }
  }

  async #made(opening: Promise<Session>): Promise<Session> {
    for (const session of this.#sessions) if (session.isEnded) this.#sessions.delete(session);
    const session = await opening;
    this.#sessions.add(session);
    return session;
  }

  #forget(opening: Promise<Session>, error: unknown): never {
    if (this.#open === opening) this.#open = null;
    throw error;
  }
}

/** The server had said that it takes no more, and did nothing of it: another connection will. @see RFC 9113, 8.7 */
class UntakenError extends UnavailableError {}

/** null: the answer is what it is. */
function busyMs({ status, retryAfter }: ApiAnswer, attempt: number): number | null {
  const waitMs = 1000 * (retryAfter ?? attempt);
  return status === 429 && attempt < busyTries && waitMs <= longestBusyMs ? waitMs : null;
}

class Session {
  readonly #bearer: Bearer;
  readonly #http: http2.ClientHttp2Session;
  readonly #authority: string;
  /** Where the API does not begin at the root, as behind a gateway to many clusters. */
  readonly #prefix: string;
  readonly #patienceMs: number;
  readonly #ping: NodeJS.Timeout;
  #reason: AppError | null = null;

  private constructor(http: http2.ClientHttp2Session, access: ClusterAccess, patienceMs: number) {
    this.#http = http;
    this.#authority = access.server;
    this.#prefix = prefixOf(access.server);
    this.#patienceMs = patienceMs;
    this.#bearer = new Bearer(access.identity);
    this.#ping = setInterval(() => this.#pingOnce(), pingEveryMs);
    http.on('error', (error) => this.end(this.#unavailable(error.message)));
    http.on('close', () => this.end(this.#unavailable('the connection ended')));
    http.setLocalWindowSize(16 * windowBytes);
  }

  static open(access: ClusterAccess, patienceMs: number): Promise<Session> {
    return new Promise((resolve, reject) => {
      const http = connectTo(access);
      const fail = (reason: string) => {
        http.destroy();
        reject(new UnavailableError(`cannot reach ${access.server}: ${reason}`));
      };
      const timer = setTimeout(() => fail(`no connection within ${connectTimeoutMs} ms`), connectTimeoutMs);
      http.once('error', (error) => {
        clearTimeout(timer);
        fail(error.message);
      });
      http.once('connect', () => {
        clearTimeout(timer);
        if (http.destroyed) fail('the connection ended');
        else resolve(new Session(http, access, patienceMs));
      });
    });
  }

  get isOver(): boolean {
    return this.#http.closed || this.#http.destroyed;
  }

  get isEnded(): boolean {
    return this.#http.destroyed;
  }

  /** Nothing new goes over it; what is under way ends by itself. */
  retire(): void {
    this.#http.close();
  }

  end(reason: AppError): void {
    clearInterval(this.#ping);
    this.#reason ??= reason;
    if (!this.#http.destroyed) this.#http.destroy(reason); // without one, watches would end as if politely
  }

  async send(request: ApiRequest): Promise<ApiAnswer> {
    const stream = this.#request(request, await this.#authorization());
    const timer = setTimeout(
      () => stream.destroy(this.#unavailable(`no answer within ${this.#patienceMs} ms`)),
      this.#patienceMs,
    );
    try {
      return await this.#answer(stream);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns the answer that is none of lines. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<readonly string[], ApiAnswer | null> {
    const stream = this.#request({ method: 'GET', path }, await this.#authorization());
    const stop = () => stream.close(http2.constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      const headers = await this.#promptHeaders(stream);
      if (headers[':status'] !== 200) return await this.#rest(stream, headers);
      yield* this.#linesOf(stream);
    } catch (error) {
      if (!signal.aborted) throw this.#failureOf(stream, error);
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
    return null;
  }

  /** A server says at once that it will tell, also when there is nothing to tell yet. */
  async #promptHeaders(
    stream: http2.ClientHttp2Stream,
  ): Promise<http2.IncomingHttpHeaders & { ':status'?: number }> {
    const late = () => stream.destroy(this.#unavailable(`no answer within ${this.#patienceMs} ms`));
    const timer = setTimeout(late, this.#patienceMs);
    try {
      return await this.#headers(stream);
    } finally {
      clearTimeout(timer);
    }
  }

  #request(request: ApiRequest, authorization: string | null): http2.ClientHttp2Stream {
    const { method, path, body, contentType = 'application/json', accept = 'application/json' } = request;
    if (this.isOver) throw new UntakenError(`${this.#authority}: the connection ended`);
    const headers = {
      ':method': method,
      ':path': this.#prefix + path,
      accept,
      'user-agent': 'muslin',
      ...(body === undefined ? {} : { 'content-type': contentType }),
      ...(authorization === null ? {} : { authorization }),
    };
    const stream = this.#http.request(headers, { endStream: body === undefined }); // else DELETE would have no body
    stream.on('error', () => {}); // told by whoever waits for it
    stream.setEncoding('utf8');
    if (body !== undefined) stream.end(body);
    return stream;
  }

  async #authorization(): Promise<string | null> {
    const value = await this.#bearer.authorization();
    if (value !== null && this.#authority.startsWith('http:'))
      throw new ForbiddenError(`cannot send a token to ${this.#authority} in the clear: want https://`);
    return value;
  }

  async #answer(stream: http2.ClientHttp2Stream): Promise<ApiAnswer> {
    try {
      return await this.#rest(stream, await this.#headers(stream));
    } catch (error) {
      throw this.#failureOf(stream, error);
    }
  }

  #failureOf(stream: http2.ClientHttp2Stream, error: unknown): unknown {
    const known = this.#errorOf(error);
    const isUntaken = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
    return isUntaken && known instanceof UnavailableError ? new UntakenError(known.message) : known;
  }

  #headers(stream: http2.ClientHttp2Stream): Promise<http2.IncomingHttpHeaders & { ':status'?: number }> {
    return new Promise((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', reject);
      stream.once('close', () => reject(this.#unavailable('the connection ended before the answer')));
    });
  }

  async #rest(
    stream: http2.ClientHttp2Stream,
    headers: http2.IncomingHttpHeaders & { ':status'?: number },
  ): Promise<ApiAnswer> {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    const retryAfter = Number(headers['retry-after'] ?? Number.NaN);
    return {
      status: headers[':status'] ?? 0,
      text,
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : null,
      warnings: warningsOf(headers.warning),
    };
  }

  /** All lines of what came at once, together. */
  async *#linesOf(stream: http2.ClientHttp2Stream): AsyncGenerator<readonly string[]> {
    let begun: string[] = [];
    let length = 0;
    for await (const chunk of stream) {
      const text = String(chunk);
      const end = text.lastIndexOf('\n');
      if (end < 0) begun.push(text);
      else {
        const whole = begun.join('') + text.slice(0, end);
        begun = [text.slice(end + 1)];
        length = 0;
        yield whole.split('\n').filter((line) => line !== '');
      }
      length += text.length - end - 1;
      if (length > largestLine)
        throw this.#unavailable(`got a line of more than ${largestLine} characters, want an event`);
    }
  }

  /** Also while the server takes nothing new (GOAWAY): watches go on until it ends them. */
  #pingOnce(): void {
    if (this.isEnded) return;
    const late = setTimeout(
      () => this.end(this.#unavailable(`no answer to a ping within ${pingTimeoutMs} ms`)),
      pingTimeoutMs,
    );
    this.#http.ping((error) => {
      clearTimeout(late);
      if (error) this.end(this.#unavailable(error.message));
    });
  }

  #errorOf(error: unknown): unknown {
    if (error instanceof AppError) return this.#reason ?? error;
    return this.#reason ?? this.#unavailable(error instanceof Error ? error.message : String(error));
  }

  #unavailable(reason: string): UnavailableError {
    return new UnavailableError(`${this.#authority}: ${reason}`);
  }
}

/** `https://rancher.example/k8s/clusters/c-1`: every path is below it. */
function prefixOf(server: string): string {
  return server.startsWith('unix:') ? '' : new URL(server).pathname.replace(/\/+$/, '');
}

/** @throws {InvalidError} for certificates and keys that are none. */
function connectTo(access: ClusterAccess): http2.ClientHttp2Session {
  try {
    return connectUnchecked(access);
  } catch (error) {
    const { code = 'no code' } = error as NodeJS.ErrnoException; // its text may show what it could not read
    throw new InvalidError(`cannot use the certificates for ${access.server}: ${code}: want PEM`);
  }
}

function connectUnchecked(access: ClusterAccess): http2.ClientHttp2Session {
  const settings = { initialWindowSize: windowBytes, enablePush: false };
  if (access.server.startsWith('unix://')) {
    const path = access.server.slice('unix://'.length);
    const createConnection = () => connectSocket(path);
    return http2.connect('http://localhost', { settings, maxSessionMemory, createConnection });
  }
  return http2.connect(access.server, {
    maxSessionMemory,
    settings,
    rejectUnauthorized: !access.insecureSkipVerify,
    ALPNProtocols: ['h2'],
    ...(access.serverName === undefined ? {} : { servername: access.serverName }),
    ...(access.ca === undefined ? {} : { ca: access.ca }),
    ...(access.cert === undefined ? {} : { cert: access.cert }),
    ...(access.key === undefined ? {} : { key: access.key.reveal() }),
  });
}

/** RFC 9111, 5.5: `299 - "text"`, several in one header or in several. */
function warningsOf(header: string | readonly string[] | undefined): readonly string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(', ');
  return [...text.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, quoted = '']) =>
    quoted.replaceAll(/\\(.)/g, '$1'),
  );
}
