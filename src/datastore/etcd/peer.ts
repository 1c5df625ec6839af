// SPDX-License-Identifier: Apache-2.0
/** One member of etcd, as it is spoken to: gRPC over one connection, to a host with or without TLS, or to a Unix socket. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { InvalidError } from '../../lib/errors.ts';
import type { TlsConfig } from '../config.ts';
import { Auth, KV, Maintenance, Watch } from './api/etcd_pb.ts';
import { Connection } from './connection.ts';

export interface Peer {
  /** Host and port, or the socket's path: what messages call it. */
  readonly name: string;
  readonly kv: Client<typeof KV>;
  readonly watch: Client<typeof Watch>;
  readonly auth: Client<typeof Auth>;
  readonly maintenance: Client<typeof Maintenance>;
  close(): void;
}

/** @throws {InvalidError} when `endpoint` is no URL of etcd's. */
export function openPeer(endpoint: string, tls: TlsConfig = {}): Peer {
  const { url, name, open } = targetOf(endpoint, tls);
  const connection = new Connection(url, open);
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager: connection,
    acceptCompression: [],
  });
  return {
    name,
    kv: createClient(KV, transport),
    watch: createClient(Watch, transport),
    auth: createClient(Auth, transport),
    maintenance: createClient(Maintenance, transport),
    close: () => connection.close(),
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
  const context = isTls ? contextOf(tls) : null;
  const open = () => (context ? openTls(at, context) : connectTcp(at));
  return { url: url.origin, name: url.host, open };
}

/** @throws {InvalidError} for certificates and keys that are none; what was read is not shown. */
function contextOf({ ca, cert, key }: TlsConfig): SecureContext {
  try {
    return createSecureContext({
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key: key.reveal() }),
    });
  } catch (error) {
    const { code = 'no code' } = error as NodeJS.ErrnoException;
    throw new InvalidError(
      `etcd: cannot use the certificates: ${code}: want PEM, and a key that belongs to them`,
    );
  }
}

/** A password has no place in an endpoint; if one is there it is not shown. */
function shown(endpoint: string): string {
  return endpoint.replace(/\/\/.*@/s, '//...@');
}

function openTls(at: { readonly host: string; readonly port: number }, secureContext: SecureContext): Socket {
  return connectTls({
    ...at,
    ALPNProtocols: ['h2'],
    servername: isIP(at.host) ? '' : at.host,
    secureContext,
  });
}
