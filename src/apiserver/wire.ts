// SPDX-License-Identifier: Apache-2.0
/**
 * HTTP/2 and HTTP/1.1, under TLS on a loopback port and plain on a Unix socket.
 *
 * Owns:       the listeners, the open connections and streams. Takes in: what answers requests, certificates.
 * Invariants: a reader of a watch who is too slow loses his stream, so that nobody's slowness fills our memory.
 */

import type { EventEmitter } from 'node:events';
import { chmodSync, rmSync, statSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import {
  type AddressInfo,
  createServer as createSocketServer,
  type Socket,
  type Server as SocketServer,
} from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { UnsupportedError } from '../lib/errors.ts';
import type { Answer, EventSink } from './answer.ts';
import type { KeyPair } from './certificates.ts';
import type { Fault, Faults, OpenConnections, RefusalStatus } from './faults.ts';
import type { Credentials } from './identity.ts';
import { ApiError } from './objects/api-error.ts';
import { protobufStatus } from './protobuf-status.ts';
import { flagOf } from './request-path.ts';
import type { Asked } from './requests.ts';
import { failure } from './status.ts';
import { yamlText } from './yaml-text.ts';

type Incoming = IncomingMessage | Http2ServerRequest;
/** Node's HTTP/2 answers are written like those of HTTP/1.1, and typed apart. */
type Outgoing = ServerResponse & { readonly stream?: ServerHttp2Stream };

/** As the real server's --max-request-bytes. */
const largestBody = 3 << 20;

/** Megabytes, of all answers of one connection under way: beyond Node's 10 it refuses new streams. */
const maxSessionMemory = 512;

/** Unsent bytes of one watch. */
const largestBacklog = 16 << 20;

export interface WireOptions {
  readonly answer: (asked: Asked) => Answer;
  readonly faults: Faults;
  /** PEM. */
  readonly ca: string;
  readonly keys: KeyPair;
}

export class Wire implements OpenConnections {
  readonly #options: WireOptions;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<() => void>();
  readonly #listeners: (SocketServer | Server | Http2Server)[] = [];
  #frozen = false;
  #freezing: NodeJS.Timeout | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
    options.faults.attach(this);
  }

  /** @returns the port. */
  async listenTls(host: string, port: number): Promise<number> {
    const { ca, keys } = this.#options;
    const server = createSecureServer({
      ...keys,
      ca,
      allowHTTP1: true,
      requestCert: true,
      rejectUnauthorized: false,
      settings: { maxConcurrentStreams: 1000 },
      maxSessionMemory,
    });
    server.on('request', (request, response) => this.#serve(request, outgoing(response), false));
    server.on('session', (session) => this.#keep(session));
    server.on('connection', (socket: Socket) => this.#keepSocket(socket));
    server.on('sessionError', () => {});
    this.#listeners.push(server as unknown as SocketServer);
    await listening(server, `${host}:${port}`, (done) => server.listen(port, host, done));
    return (server.address() as AddressInfo).port;
  }

  async listenSocket(path: string): Promise<void> {
    const http1 = createServer((request, response) => this.#serve(request, response, true));
    const http2 = createHttp2Server({ settings: { maxConcurrentStreams: 1000 }, maxSessionMemory });
    http2.on('request', (request, response) => this.#serve(request, outgoing(response), true));
    http2.on('session', (session) => this.#keep(session));
    http2.on('sessionError', () => {});
    const door = createSocketServer((socket) => {
      this.#keepSocket(socket);
      firstBytes(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit('connection', socket));
    });
    this.#listeners.push(door);
    if (statSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path); // left by one that was killed
    await listening(door, path, (done) => door.listen(path, done));
    chmodSync(path, 0o600);
  }

  endWatches(): void {
    for (const end of [...this.#watches]) end();
  }

  goAway(): void {
    for (const session of this.#sessions) if (!session.destroyed) session.goaway();
  }

  /** Again and again: HTTP/2 reads on by itself after it has written. */
  setFrozen(frozen: boolean): void {
    this.#frozen = frozen;
    clearInterval(this.#freezing);
    const set = () => {
      for (const socket of this.#sockets) setReading(socket, !frozen);
    };
    set();
    if (frozen) this.#freezing = setInterval(set, 10);
  }

  /** Streams end, requests on their way are answered; what is left after `patience` milliseconds is cut. */
  async close(patience = 500): Promise<void> {
    clearInterval(this.#freezing);
    for (const session of this.#sessions) session.close();
    this.endWatches();
    const closed = this.#listeners.map((server) => new Promise((resolve) => server.close(resolve)));
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, patience);
    await Promise.all(closed);
    clearTimeout(cut);
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on('error', () => {});
    session.once('close', () => this.#sessions.delete(session));
  }

  #keepSocket(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#frozen) setReading(socket, false);
  }

  #serve(request: Incoming, response: Outgoing, trusted: boolean): void {
    request.on('error', () => {});
    response.on('error', () => {});
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= largestBody) chunks.push(chunk);
    });
    request.on('end', () => {
      if (size > largestBody) return send(response, tooLarge(size));
      const asked = askedOf(request, Buffer.concat(chunks), trusted);
      this.#answer(asked, response);
    });
  }

  #answer(asked: Asked, response: Outgoing): void {
    const { method, path, query } = asked;
    const fault = this.#options.faults.take({ method, path, watch: flagOf(query, 'watch') });
    if (fault) return this.#fail(fault, asked, response);
    this.#send(this.#options.answer(asked), response);
  }

  #send(answer: Answer, response: Outgoing): void {
    if (this.#frozen) return void setTimeout(() => this.#send(answer, response), 10);
    if (answer.type !== 'stream') return send(response, answer);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const sink = new ResponseSink(response, this.#options.faults, () => this.#frozen);
    const stop = answer.start(sink);
    const end = () => {
      stop();
      sink.end();
    };
    this.#watches.add(end);
    response.once('close', () => {
      this.#watches.delete(end);
      stop();
    });
  }

  #fail(fault: Fault, asked: Asked, response: Outgoing): void {
    switch (fault.type) {
      case 'answer':
        return send(response, faultAnswer(fault.status, fault.retryAfter));
      case 'silence':
        return;
      case 'delay':
        setTimeout(() => this.#send(this.#options.answer(asked), response), fault.milliseconds);
        return;
      case 'lost-answer':
        this.#options.answer(asked);
        response.socket?.destroy();
        return;
      case 'reset':
        response.socket?.destroy();
        return;
    }
  }
}

class ResponseSink implements EventSink {
  readonly #response: Outgoing;
  readonly #faults: Faults;
  readonly #isFrozen: () => boolean;
  /** Late ones, in order: what is prompt again does not overtake them. */
  readonly #waiting: { readonly line: string; readonly due: number }[] = [];
  #backlog = 0;

  constructor(response: Outgoing, faults: Faults, isFrozen: () => boolean) {
    this.#response = response;
    this.#faults = faults;
    this.#isFrozen = isFrozen;
  }

  write(line: string): void {
    const flow = this.#faults.events;
    if (flow.type === 'silent') return;
    if (flow.type === 'prompt' && this.#waiting.length === 0 && !this.#isFrozen()) return this.#write(line);
    const due = performance.now() + (flow.type === 'late' ? flow.milliseconds : 0);
    if (this.#waiting.push({ line, due }) === 1) this.#writeDue();
  }

  #writeDue(): void {
    const now = performance.now();
    for (let [next] = this.#waiting; next && next.due <= now && !this.#isFrozen(); [next] = this.#waiting) {
      this.#write(next.line);
      this.#waiting.shift();
    }
    if (this.#waiting.length > 0 && !this.#response.destroyed) setTimeout(() => this.#writeDue(), 10);
  }

  end(): void {
    if (!this.#response.writableEnded) this.#response.end();
  }

  #write(line: string): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    this.#backlog += line.length;
    if (this.#backlog > largestBacklog) return this.#cut();
    this.#response.write(line, () => {
      this.#backlog -= line.length;
    });
  }

  #cut(): void {
    if (this.#response.stream) this.#response.stream.close();
    else this.#response.destroy();
  }
}

function outgoing(response: Http2ServerResponse): Outgoing {
  return response as unknown as Outgoing;
}

function send(response: Outgoing, answer: Exclude<Answer, { type: 'stream' }>): void {
  if (response.writableEnded || response.destroyed) return;
  const { text, contentType } = rendered(answer);
  const warnings = answer.type === 'json' ? (answer.warnings ?? []) : [];
  const warning = warnings.map((each) => `299 - ${JSON.stringify(each)}`);
  const own = { 'content-type': contentType, 'content-length': Buffer.byteLength(text) };
  const headers: OutgoingHttpHeaders = { ...own, ...answer.headers };
  if (warning.length > 0) Object.assign(headers, { warning });
  response.writeHead(answer.status, headers);
  response.end(text);
}

function rendered(answer: Exclude<Answer, { type: 'stream' }>): {
  text: string | Buffer;
  contentType: string;
} {
  if (answer.type === 'text') return answer;
  const { body, encoding = 'json', contentType = `application/${encoding}` } = answer;
  switch (encoding) {
    case 'json':
      return { text: `${JSON.stringify(body)}\n`, contentType };
    case 'yaml':
      return { text: yamlText(body), contentType };
    case 'protobuf':
      return { text: protobufStatus(body), contentType: 'application/vnd.kubernetes.protobuf' };
  }
}

function askedOf(request: Incoming, body: Buffer, trusted: boolean): Asked {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const headers = Object.entries(request.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(',') : value,
  ]);
  return {
    method: request.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    headers: Object.fromEntries(headers),
    body,
    certificate: trusted ? null : certificateOf(request),
    trusted,
  };
}

function certificateOf(request: Incoming): Credentials['certificate'] {
  const socket = ('stream' in request ? request.stream.session?.socket : request.socket) as
    | TLSSocket
    | undefined;
  if (!socket?.authorized) return null;
  // null, against its type, once the connection is gone
  const certificate: PeerCertificate | null = socket.getPeerCertificate();
  const subject = certificate?.subject;
  if (!subject?.CN) return null;
  const organizations: unknown = subject.O ?? [];
  const groups = Array.isArray(organizations) ? organizations.map(String) : [String(organizations)];
  return { name: String(subject.CN), groups };
}

const reasons = {
  401: 'Unauthorized',
  403: 'Forbidden',
  409: 'Conflict',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
} as const;

function faultAnswer(status: RefusalStatus, retryAfter?: number): Exclude<Answer, { type: 'stream' }> {
  const reason = reasons[status];
  const details = retryAfter === undefined ? {} : { retryAfterSeconds: retryAfter };
  return {
    type: 'json',
    status,
    body: failure(new ApiError(status, reason, 'a fault that was asked for', details)),
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(retryAfter) } }),
  };
}

function tooLarge(size: number): Exclude<Answer, { type: 'stream' }> {
  const message = `Request entity too large: got ${size} bytes, want at most ${largestBody}`;
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message };
  return { type: 'json', status: 413, body: { ...body, reason: 'RequestEntityTooLarge', code: 413 } };
}

/**
 * Which of the two a client speaks, by its first bytes, which are put back. The socket must not flow before its server has
 * it: HTTP/2 takes what is buffered when its session begins, and reads below the socket from then on.
 */
function firstBytes(socket: Socket, tell: (isHttp2: boolean) => void): void {
  socket.once('readable', () => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) return;
    socket.unshift(bytes);
    tell(bytes.subarray(0, 3).toString('latin1') === 'PRI');
  });
}

/** Node offers no pause below TLS and HTTP/2, so the handle itself is told. */
function setReading(socket: Socket, reading: boolean): void {
  const handle = (socket as unknown as { readonly _handle?: { readStart(): void; readStop(): void } })
    ._handle;
  if (reading) handle?.readStart();
  else handle?.readStop();
}

/** @throws {UnsupportedError} where somebody else listens, or nobody may. */
async function listening(
  server: EventEmitter,
  where: string,
  listen: (done: () => void) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    listen(resolve);
  }).catch(({ code, message }: NodeJS.ErrnoException) => {
    throw new UnsupportedError(`cannot listen on ${where}: ${code ?? message}`);
  });
}
