// SPDX-License-Identifier: Apache-2.0
/**
 * The HTTP/2 connection below gRPC: made when it is wanted, asked for a sign of life while something depends on it.
 *
 * Connect's own session manager is not used: of a connection that a ping found dead it stops hearing before the connection says
 * so, and an error that nobody hears ends the process (test/faults/etcd-server.test.ts, "frozen"); nor does it let the
 * window be set.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect,
  type Http2Session,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectTimeoutCode } from './faults.ts';

/** How long a connection may take to be made: a host that drops what is sent to it says nothing for minutes. */
const connectMs = 3000;
/** Pings more often than every 5 s (etcd's --grpc-keepalive-min-time) would make etcd hang up. */
const quietMs = 5200;
/** A ping's answer; so a dead peer is known within 10 s. */
const pingMs = 4000;
/** HTTP/2's default of 64 KiB in flight would make lists from afar slow. */
const windowBytes = 8 * 1024 * 1024;
const settings = {
  settings: { enablePush: false, initialWindowSize: windowBytes },
  // requests that wait to be sent count: as many as a transaction may hold, of the largest size
  maxSessionMemory: 256,
};

interface Live {
  readonly session: ClientHttp2Session;
  /** Fails with what `over` tells. */
  readonly ready: Promise<void>;
  /** Why it ended. */
  readonly over: Promise<unknown>;
  streams: number;
  /** When bytes came last, on the clock of `performance`. */
  heardAt: number;
  pinging: Promise<void> | null;
  timer: NodeJS.Timeout | null;
}

/** What Connect's transport asks of its connection. */
export class Connection {
  readonly authority: string;
  readonly #open: () => Socket;
  #live: Live | null = null;
  readonly #bySession = new WeakMap<Http2Session, Live>();

  constructor(authority: string, open: () => Socket) {
    this.authority = authority;
    this.#open = open;
  }

  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Omit<ClientSessionRequestOptions, 'signal'>,
  ): Promise<ClientHttp2Stream> {
    const live = await this.#usable();
    if (live.session.closed || live.session.destroyed) throw await live.over;
    const stream = live.session.request({ ...headers, ':method': method, ':path': path }, options);
    this.#count(live, stream);
    return stream;
  }

  notifyResponseByteRead({ session }: ClientHttp2Stream): void {
    const live = session && this.#bySession.get(session);
    if (live) live.heardAt = performance.now();
  }

  close(): void {
    this.#live?.session.destroy(new ConnectError('closed', Code.Canceled));
  }

  async #usable(): Promise<Live> {
    const live = await this.#ready();
    // one that was idle for long may have died unseen: what is sent on it would be lost
    if (live.streams > 0 || performance.now() - live.heardAt <= quietMs) return live;
    await this.#ping(live);
    return this.#ready();
  }

  async #ready(): Promise<Live> {
    const live = this.#live ?? this.#connect();
    await live.ready;
    return live;
  }

  #connect(): Live {
    const socket = inTime(this.#open(), this.authority);
    const session = connect(this.authority, { ...settings, createConnection: () => socket });
    const opened = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    opened.promise.catch(() => {}); // whoever waits for it hears of it
    const live: Live = {
      session,
      ready: opened.promise,
      over: ended.promise,
      streams: 0,
      heardAt: performance.now(),
      pinging: null,
      timer: null,
    };
    session.once('connect', () => {
      session.setLocalWindowSize(windowBytes);
      live.heardAt = performance.now();
      session.unref();
      opened.resolve();
    });
    const end = (reason: unknown) => {
      this.#forget(live);
      opened.reject(reason);
      ended.resolve(reason);
    };
    // a session says nothing of a socket that TLS refuses after its handshake
    for (const each of [session, socket]) {
      each.on('error', end);
      each.once('close', () => end(new ConnectError('connection closed', Code.Unavailable)));
    }
    session.once('goaway', () => this.#forget(live));
    this.#bySession.set(session, live);
    this.#live = live;
    return live;
  }

  #forget(live: Live): void {
    if (this.#live === live) this.#live = null;
  }

  /** While something is under way the process waits for it, and the peer is watched. */
  #count(live: Live, stream: ClientHttp2Stream): void {
    if (live.streams++ === 0) {
      live.session.ref();
      live.timer = setInterval(() => this.#watchOver(live), quietMs / 8).unref();
    }
    stream.once('response', () => {
      live.heardAt = performance.now();
    });
    stream.once('close', () => {
      if (--live.streams > 0) return;
      if (live.timer) clearInterval(live.timer);
      if (!live.session.destroyed) live.session.unref();
    });
  }

  #watchOver(live: Live): void {
    if (performance.now() - live.heardAt > quietMs && !live.session.destroyed) void this.#ping(live);
  }

  /** Never fails: a connection that does not answer is destroyed, and so is all that was under way on it. */
  #ping(live: Live): Promise<void> {
    live.pinging ??= answerOf(live.session).then((isAlive) => {
      live.pinging = null;
      if (isAlive) live.heardAt = performance.now();
      else {
        this.#forget(live); // at once: who asks before it says that it is closed gets another
        live.session.destroy(new ConnectError(`no answer within ${pingMs} ms`, Code.Unavailable));
      }
    });
    return live.pinging;
  }
}

/** @returns false: it does not come in time. */
function answerOf(session: ClientHttp2Session): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), pingMs);
    const done = (isAlive: boolean) => {
      clearTimeout(timer);
      resolve(isAlive);
    };
    if (session.destroyed) done(false);
    else session.ping((error) => done(error === null));
  });
}

function inTime(socket: Socket, authority: string): Socket {
  const refuse = () => {
    const error = new Error(`no connection to ${authority} within ${connectMs} ms`);
    socket.destroy(Object.assign(error, { code: connectTimeoutCode }));
  };
  const timer = setTimeout(refuse, connectMs);
  const done = 'encrypted' in socket ? 'secureConnect' : 'connect';
  for (const event of [done, 'close']) socket.once(event, () => clearTimeout(timer));
  return socket;
}
