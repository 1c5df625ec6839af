// SPDX-License-Identifier: Apache-2.0
/** An HTTP/2 server that answers what a test says: nonsense, halves, nothing. */
import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface FakeAnswer {
  readonly status?: number;
  /** An object is sent as JSON. */
  readonly body?: unknown;
  readonly headers?: { readonly [name: string]: string };
  /** Pieces of a stream, as they are. */
  readonly pieces?: readonly string[];
  /** The stream stays open behind them. */
  readonly isOpen?: boolean;
}

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
}

/** null: no answer at all. */
export type FakeAnswers = (request: FakeRequest) => FakeAnswer | null;

export class FakeApi implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  readonly #server: Http2Server = createServer();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #answers: FakeAnswers;

  private constructor(answers: FakeAnswers) {
    this.#answers = answers;
    this.#server.on('session', (session) => this.#sessions.add(session));
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      stream.resume();
      const url = new URL(headers[':path'] ?? '/', 'http://fake');
      const { ':method': method = 'GET', authorization } = headers;
      const request = { method, path: url.pathname, query: url.searchParams, authorization };
      this.requests.push(request);
      answer(stream, this.#answers(request));
    });
  }

  static async start(answers: FakeAnswers): Promise<FakeApi> {
    const api = new FakeApi(answers);
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }
}

function answer(stream: ServerHttp2Stream, given: FakeAnswer | null): void {
  if (given === null) return;
  const { status = 200, body, headers = {}, pieces = [], isOpen = false } = given;
  stream.respond({ ':status': status, 'content-type': 'application/json', ...headers });
  for (const piece of pieces) stream.write(piece);
  if (body !== undefined) stream.write(typeof body === 'string' ? body : JSON.stringify(body));
  if (!isOpen) stream.end();
}
