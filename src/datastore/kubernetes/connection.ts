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
import { AppError, ForbiddenError, UnavailableError } from '../../lib/errors.ts';
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
const requestTimeoutMs = 30_000;
const pingEveryMs = 3000;
const pingTimeoutMs = 4000;
/** Per stream; of the connection below. The default of 64 kB makes lists of a hundred thousand pods crawl. */
const windowBytes = 4 * 1024 * 1024;

export class Connection implements AsyncDisposable {
  readonly #access: () => ClusterAccess;
  #open: Promise<Session> | null = null;
  #isClosed = false;

  /** @param access - read for each connection. */
  constructor(access: () => ClusterAccess) {
    this.#access = access;
  }

  /** @throws {UnavailableError} when no answer comes. Refusals are answers. */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    const session = await this.#session();
    const answer = await session.send(request);
    if (answer.status !== 401 || !session.bearer.renew()) return answer;
    return (await this.#session()).send(request);
  }

  /** The lines of an answer of 200 as they come. Any other answer is the only thing that is yielded. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<ApiAnswer | readonly string[]> {
    yield* (await this.#session()).lines(path, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = null;
    this.#isClosed = true;
    (await open?.catch(() => null))?.end(new UnavailableError('the connection was closed'));
  }

  /** Who come while it is being opened wait for the same. */
  async #session(): Promise<Session> {
    for (;;) {
      if (this.#isClosed) throw new UnavailableError('the connection was closed');
      this.#open ??= Session.open(this.#access());
      const opening = this.#open;
      const session = await opening.catch((error: unknown) => this.#forget(opening, error));
      if (!session.isOver) return session;
      if (this.#open === opening) this.#open = null;
    }
  }

  #forget(opening: Promise<Session>, error: unknown): never {
    if (this.#open === opening) this.#open = null;
    throw error;
  }
}

class Session {
  readonly bearer: Bearer;
  readonly #http: http2.ClientHttp2Session;
  readonly #authority: string;
  readonly #ping: NodeJS.Timeout;
  #reason: AppError | null = null;

  private constructor(http: http2.ClientHttp2Session, access: ClusterAccess) {
    this.#http = http;
    this.#authority = access.server;
    this.bearer = new Bearer(access.identity);
    this.#ping = setInterval(() => this.#pingOnce(), pingEveryMs);
    http.on('error', (error) => this.end(this.#unavailable(error.message)));
    http.on('goaway', () => clearInterval(this.#ping));
    http.on('close', () => this.end(this.#unavailable('the connection ended')));
    http.setLocalWindowSize(16 * windowBytes);
  }

  static open(access: ClusterAccess): Promise<Session> {
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
        resolve(new Session(http, access));
      });
    });
  }

  get isOver(): boolean {
    return this.#http.closed || this.#http.destroyed;
  }

  end(reason: AppError): void {
    clearInterval(this.#ping);
    this.#reason ??= reason;
    if (!this.#http.destroyed) this.#http.destroy();
  }

  async send(request: ApiRequest): Promise<ApiAnswer> {
    const stream = this.#request(request, await this.#authorization());
    const timer = setTimeout(
      () => stream.destroy(this.#unavailable(`no answer within ${requestTimeoutMs} ms`)),
      requestTimeoutMs,
    );
    try {
      return await this.#answer(stream);
    } finally {
      clearTimeout(timer);
    }
  }

  async *lines(path: string, signal: AbortSignal): AsyncGenerator<ApiAnswer | readonly string[]> {
    const stream = this.#request({ method: 'GET', path }, await this.#authorization());
    const stop = () => stream.close(http2.constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      const headers = await this.#headers(stream);
      if (headers[':status'] !== 200) yield await this.#rest(stream, headers);
      else yield* this.#linesOf(stream);
    } catch (error) {
      if (!signal.aborted) throw this.#errorOf(error);
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  #request(request: ApiRequest, authorization: string | null): http2.ClientHttp2Stream {
    const { method, path, body, contentType = 'application/json', accept = 'application/json' } = request;
    if (this.isOver) throw this.#reason ?? this.#unavailable('the connection ended');
    const headers = {
      ':method': method,
      ':path': path,
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
    const value = await this.bearer.authorization();
    if (value !== null && this.#authority.startsWith('http:'))
      throw new ForbiddenError(`cannot send a token to ${this.#authority} in the clear: want https://`);
    return value;
  }

  async #answer(stream: http2.ClientHttp2Stream): Promise<ApiAnswer> {
    try {
      return await this.#rest(stream, await this.#headers(stream));
    } catch (error) {
      throw this.#errorOf(error);
    }
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
    let rest = '';
    for await (const chunk of stream) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      const full = lines.filter((line) => line !== '');
      if (full.length > 0) yield full;
    }
  }

  #pingOnce(): void {
    if (this.isOver) return;
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

function connectTo(access: ClusterAccess): http2.ClientHttp2Session {
  const settings = { initialWindowSize: windowBytes, enablePush: false };
  if (access.server.startsWith('unix://')) {
    const path = access.server.slice('unix://'.length);
    return http2.connect('http://localhost', { settings, createConnection: () => connectSocket(path) });
  }
  return http2.connect(access.server, {
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
