// SPDX-License-Identifier: Apache-2.0
/** A plain client of HTTP/2 for tests: requests and watches over one connection. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type SecureClientSessionOptions,
} from 'node:http2';
import { createConnection } from 'node:net';
import type { ApiServer } from '../../src/apiserver/server.ts';
import type { Json, JsonObject } from '../../src/model/types.ts';

export interface Reply {
  readonly status: number;
  readonly headers: { readonly [name: string]: unknown };
  readonly body: JsonObject;
}

export interface Event {
  readonly type: string;
  readonly object: JsonObject & { readonly metadata: JsonObject };
}

export class Client {
  readonly session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on('error', () => {});
  }

  static async overTls(server: ApiServer, options: SecureClientSessionOptions = {}): Promise<Client> {
    return opened(connect(server.url, { ca: server.ca, ...server.adminKeys(), ...options }));
  }

  static async overSocket(path: string): Promise<Client> {
    return opened(connect('http://localhost', { createConnection: () => createConnection(path) }));
  }

  request(method: string, path: string, body?: Json, type = 'application/json'): Promise<Reply> {
    const stream = this.session.request({ ':method': method, ':path': path, 'content-type': type });
    stream.end(body === undefined ? undefined : JSON.stringify(body));
    return replyOf(stream);
  }

  watch(path: string): Watching {
    return new Watching(this.session.request({ ':path': path }));
  }

  close(): void {
    this.session.destroy();
  }
}

export class Watching {
  readonly stream: ClientHttp2Stream;
  readonly events: Event[] = [];
  readonly ended: Promise<void>;
  #told: () => void = () => {};

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (part: string) => {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      this.events.push(...lines.map((line) => JSON.parse(line) as Event));
      this.#told();
    });
    stream.on('error', () => {});
    this.ended = new Promise((resolve) => {
      stream.on('close', () => {
        resolve();
        this.#told();
      });
    });
  }

  /** Waits for that many, or the end of the stream. */
  async until(count: number): Promise<readonly Event[]> {
    while (this.events.length < count && !this.stream.closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#told = resolve;
      await promise;
    }
    return this.events;
  }
}

export function configMap(name: string, data: JsonObject = {}): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}

function opened(session: ClientHttp2Session): Promise<Client> {
  return new Promise((resolve, reject) => {
    session.once('error', reject);
    session.once('remoteSettings', () => resolve(new Client(session)));
  });
}

function replyOf(stream: ClientHttp2Stream): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let headers: Reply['headers'] = {};
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (found) => {
      headers = found;
    });
    stream.on('data', (part: string) => {
      text += part;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      const status = Number(headers[':status']);
      if (Number.isNaN(status)) reject(new Error('the stream ended without an answer'));
      else
        resolve({
          status,
          headers,
          body: text.startsWith('{') ? (JSON.parse(text) as JsonObject) : { text },
        });
    });
  });
}
