// SPDX-License-Identifier: Apache-2.0
/**
 * A Kubernetes API server in this process: what `muslin lab up --datastore kubernetes` runs, and the fake of CI.
 *
 * Owns:       the listeners (TLS on a loopback port, plain on a Unix socket), the certificates, the start and the stop.
 * Takes in:   requests over HTTP/2 and HTTP/1.1. Gives out: what a real 1.36 server answers, as far as
 *             test/apiserver/transcripts.test.ts holds it to that.
 * Invariants: a write that was answered is in the journal; restarted on the same folder it goes on where it was.
 * Next:       requests.ts for the way of a request, wire.ts for connections, store.ts for what is kept, objects/ for the
 *             rules of kinds, controllers/ for what acts by itself.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { bootstrap } from './bootstrap.ts';
import { Catalog } from './catalog.ts';
import { CertificateAuthority, type KeyPair } from './certificates.ts';
import { type ControllerName, startControllers } from './controllers/controllers.ts';
import { Faults } from './faults.ts';
import { keptKeys } from './kept-keys.ts';
import { builtinResources } from './objects/builtin.ts';
import { Requests } from './requests.ts';
import type { Serving } from './serving.ts';
import { ApiStore } from './store.ts';
import { Tokens } from './tokens.ts';
import { administrators, type User } from './user.ts';
import { Wire } from './wire.ts';

export interface ApiServerOptions {
  /** Default: 127.0.0.1 and any free port. */
  readonly host?: string;
  readonly port?: number;
  /** Without TLS, HTTP/2 (prior knowledge) and HTTP/1.1; whoever may open it is an administrator. */
  readonly socketPath?: string;
  /** State and certificates; without one nothing outlives the server. */
  readonly folder?: string;
  /** Certificates, where they are not the folder's own: several servers may share them. */
  readonly certificates?: string;
  /** Bearer tokens that are known from the start. */
  readonly tokens?: ReadonlyMap<string, User>;
  readonly serviceCidrs?: readonly string[];
  readonly nodePorts?: { readonly first: number; readonly last: number };
  readonly controllers?: readonly ControllerName[];
  /** Changes that are remembered for watches. */
  readonly history?: number;
  /** Milliseconds between bookmarks of a watch, when there is news. */
  readonly bookmarkInterval?: number;
}

export interface ApiServer {
  /** `https://127.0.0.1:6443` */
  readonly url: string;
  readonly socketPath?: string;
  /** PEM: whom clients have to trust. */
  readonly ca: string;
  readonly store: ApiStore;
  readonly faults: Faults;
  /** YAML, certificates inline: a member of system:masters. */
  adminKubeconfig(): string;
  /** His certificate alone. */
  adminKeys(): KeyPair;
  /** The same for someone else. */
  kubeconfigOf(user: User): string;
  /** A client certificate. */
  issue(user: User): KeyPair;
  /** With GOAWAY; open watches end. */
  stop(): Promise<void>;
}

const admin: User = { name: 'muslin-admin', groups: [administrators] };

/** @returns the port of TLS. @throws {UnsupportedError} */
async function listen(
  wire: Wire,
  { host = '127.0.0.1', port = 0, socketPath }: ApiServerOptions,
): Promise<number> {
  const free = await wire.listenTls(host, port);
  if (socketPath !== undefined) await wire.listenSocket(socketPath);
  return free;
}

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const { folder, host = '127.0.0.1' } = options;
  const temporary =
    (folder ?? options.certificates) ? null : mkdtempSync(join(tmpdir(), 'muslin-apiserver-'));
  const place = options.certificates ?? join(folder ?? temporary ?? '', 'certificates');
  const authority = new CertificateAuthority(place);
  const serving = servingOf(options);
  bootstrap(serving);
  const stopControllers = startControllers(serving, options.controllers ?? [], authority.certificate);
  const tokens = new Tokens(serving.store, options.tokens ?? new Map(), folder);
  const requests = new Requests(serving, tokens);
  const faults = new Faults();
  const ca = authority.certificate;
  const own = { commonName: 'kube-apiserver', alternativeNames: namesOf(host) };
  const keys = keptKeys(authority, place, 'server', own);
  const wire = new Wire({ answer: (asked) => requests.answer(asked), faults, ca, keys });
  const stop = async () => {
    await wire.close();
    stopControllers();
    serving.store.close();
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true });
  };
  const port = await listen(wire, options).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const url = `https://${host}:${port}`;
  const issue = ({ name, groups }: User) => authority.issue({ commonName: name, organizations: groups });
  const adminKeys = () =>
    keptKeys(authority, place, 'admin', { commonName: admin.name, organizations: admin.groups });
  return {
    url,
    ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
    ca,
    store: serving.store,
    faults,
    issue,
    adminKeys,
    adminKubeconfig: () => kubeconfig(url, ca, admin.name, adminKeys()),
    kubeconfigOf: (user) => kubeconfig(url, ca, user.name, issue(user)),
    stop,
  };
}

function servingOf(options: ApiServerOptions): Serving {
  const { folder, history } = options;
  return {
    store: new ApiStore({
      ...(folder === undefined ? {} : { folder }),
      ...(history === undefined ? {} : { history }),
    }),
    catalog: new Catalog(builtinResources),
    services: {
      ranges: options.serviceCidrs ?? ['10.96.0.0/12'],
      nodePorts: options.nodePorts ?? { first: 30_000, last: 32_767 },
    },
    bookmarkInterval: options.bookmarkInterval ?? 5000,
  };
}

function namesOf(host: string): readonly string[] {
  const inCluster = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  return [...new Set([host, '127.0.0.1', '::1'])]
    .map((address) => `IP:${address}`)
    .concat(['localhost', ...inCluster].map((name) => `DNS:${name}`));
}

function kubeconfig(url: string, ca: string, user: string, { cert, key }: KeyPair): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'muslin',
    clusters: [{ name: 'muslin', cluster: { server: url, 'certificate-authority-data': base64(ca) } }],
    contexts: [{ name: 'muslin', context: { cluster: 'muslin', user } }],
    users: [
      { name: user, user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } },
    ],
  });
}
