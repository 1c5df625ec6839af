// SPDX-License-Identifier: Apache-2.0
/** One member of etcd, as it is spoken to: an HTTP/2 connection that is made when it is wanted and watched while it is used. */
import type { ClientHttp2Session, Http2Session } from 'node:http2';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { InvalidError } from '../../lib/errors.ts';
import type { TlsConfig } from '../config.ts';
import { Auth, KV, Maintenance, Watch } from './api/etcd_pb.ts';
import { connectTimeoutCode } from './faults.ts';

export interface Peer {
  /** Host and port, or the socket's path: what messages call it. */
  readonly name: string;
  readonly kv: Client<typeof KV>;
  readonly watch: Client<typeof Watch>;
  readonly auth: Client<typeof Auth>;
  readonly maintenance: Client<typeof Maintenance>;
  close(): void;
}

const connectMs = 3000;
/**
 * A dead peer is noticed within 10 s. Pings more often than every 5 s (etcd's --grpc-keepalive-min-time) would make etcd
 * hang up.
 */
const pingMs = { pingIntervalMs: 5200, pingTimeoutMs: 4000 };
type SessionManager = NonNullable<Parameters<typeof createGrpcTransport>[0]['sessionManager']>;

/** HTTP/2's default of 64 KiB in flight would make lists from afar slow. */
const windowBytes = 8 * 1024 * 1024;

/** @throws {InvalidError} when `endpoint` is no URL of etcd's. */
export function openPeer(endpoint: string, tls: TlsConfig = {}): Peer {
  const { url, name, open } = targetOf(endpoint, tls);
  const session = new Http2SessionManager(url, pingMs, {
    createConnection: () => inTime(open(), name),
    settings: { enablePush: false, initialWindowSize: windowBytes },
    // requests that wait to be sent count: as many as a transaction may hold, of the largest size
    maxSessionMemory: 256,
  });
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager: withWindow(session),
    acceptCompression: [],
  });
  return {
    name,
    kv: createClient(KV, transport),
    watch: createClient(Watch, transport),
    auth: createClient(Auth, transport),
    maintenance: createClient(Maintenance, transport),
    close: () => session.abort(),
  };
}

interface Target {
  readonly url: string;
  readonly name: string;
  readonly open: () => Socket;
}

function targetOf(endpoint: string, tls: TlsConfig): Target {
  const url = URL.parse(endpoint);
  if (url?.protocol === 'unix:') {
    const path = decodeURIComponent(url.host + url.pathname);
    return { url: 'http://localhost', name: path, open: () => connectTcp({ path }) };
  }
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.pathname !== '/')
    throw new InvalidError(
      `etcd endpoint ${JSON.stringify(shown(endpoint))}: want http://host:port, https://host:port or unix:///path`,
    );
  const isTls = url.protocol === 'https:';
  const at = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || (isTls ? 443 : 80)) };
  const open = () => (isTls ? openTls(at, tls) : connectTcp(at));
  return { url: url.origin, name: url.host, open };
}

/** A password has no place in an endpoint; if one is there it is not shown. */
function shown(endpoint: string): string {
  return endpoint.replace(/\/\/[^/@]*@/, '//...@');
}

function openTls(at: { readonly host: string; readonly port: number }, { ca, cert, key }: TlsConfig): Socket {
  return connectTls({
    ...at,
    ALPNProtocols: ['h2'],
    servername: isIP(at.host) ? '' : at.host,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: key.reveal() }),
  });
}

/** A host that drops what is sent to it says nothing for minutes. */
function inTime(socket: Socket, name: string): Socket {
  const refuse = () => {
    const error = new Error(`no connection to ${name} within ${connectMs} ms`);
    socket.destroy(Object.assign(error, { code: connectTimeoutCode }));
  };
  const timer = setTimeout(refuse, connectMs);
  const done = 'encrypted' in socket ? 'secureConnect' : 'connect';
  for (const event of [done, 'close']) socket.once(event, () => clearTimeout(timer));
  return socket;
}

/** The window of the whole connection is no setting: it is opened with the first request. */
function withWindow(manager: Http2SessionManager): SessionManager {
  const opened = new WeakSet<ClientHttp2Session>();
  return {
    authority: manager.authority,
    notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
    request: async (method, path, headers, options) => {
      const stream = await manager.request(method, path, headers, options);
      const { session } = stream;
      if (session && isClient(session) && !opened.has(session)) {
        opened.add(session);
        session.setLocalWindowSize(windowBytes);
      }
      return stream;
    },
  };
}

function isClient(session: Http2Session): session is ClientHttp2Session {
  return 'setLocalWindowSize' in session;
}
