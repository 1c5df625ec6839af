// SPDX-License-Identifier: Apache-2.0
/**
 * A Kubernetes API server in this process: what `muslin lab up --datastore kubernetes` runs, and the fake of CI.
 *
 * Owns:       the listeners (TLS on a loopback port, plain on a Unix socket), the certificates, the start and the stop.
 * Takes in:   requests over HTTP/2 and HTTP/1.1. Gives out: what a real 1.36 server answers, as far as
 *             test/apiserver/transcripts.test.ts holds it to that.
 * Invariants: a write that was answered is in the journal; restarted on the same folder it goes on where it was.
 */
import { UnsupportedError } from '../lib/errors.ts';
import type { Faults } from './faults.ts';

export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
}

export type ControllerName =
  /** Namespaces: the ServiceAccount `default`, the ConfigMap `kube-root-ca.crt`. */
  | 'service-accounts'
  /** A namespace that is deleted is emptied, then goes. */
  | 'namespaces'
  /** What has lost its last owner goes. */
  | 'garbage-collection'
  /** From Services and Pods. */
  | 'endpoint-slices';

export interface ApiServerOptions {
  /** Default: 127.0.0.1 and any free port. */
  readonly host?: string;
  readonly port?: number;
  /** Without TLS, HTTP/2 (prior knowledge) and HTTP/1.1; whoever may open it is an administrator. */
  readonly socketPath?: string;
  /** State and certificates; without one nothing outlives the server. */
  readonly folder?: string;
  /** Bearer tokens that are known from the start. */
  readonly tokens?: ReadonlyMap<string, User>;
  readonly serviceCidrs?: readonly string[];
  readonly nodePorts?: { readonly first: number; readonly last: number };
  readonly controllers?: readonly ControllerName[];
}

export interface ApiServer {
  /** `https://127.0.0.1:6443` */
  readonly url: string;
  readonly socketPath?: string;
  /** PEM: whom clients have to trust. */
  readonly ca: string;
  readonly faults: Faults;
  /** YAML, certificates inline: a member of system:masters. */
  adminKubeconfig(): string;
  /** The same for someone else. */
  kubeconfigOf(user: User): string;
  /** With GOAWAY; open watches end. */
  stop(): Promise<void>;
}

export async function startApiServer(_options: ApiServerOptions = {}): Promise<ApiServer> {
  throw new UnsupportedError('cannot start an API server: got a build in which it is not made yet');
}
