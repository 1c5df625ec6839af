// SPDX-License-Identifier: Apache-2.0
/** Which store, and how it is reached: what files, environment and arguments come down to (config-sources.ts). */
import { assertNever } from '../lib/errors.ts';
import type { Secret } from '../lib/secret.ts';

export type DatastoreConfig = EmbeddedConfig | EtcdConfig | KubernetesConfig;

export interface EmbeddedConfig {
  readonly type: 'embedded';
  readonly file: string;
}

export interface EtcdConfig {
  readonly type: 'etcd';
  /** `https://10.0.0.1:2379`, `http://...`, or `unix:///run/etcd.sock`; tried in turn. */
  readonly endpoints: readonly string[];
  readonly username?: string;
  readonly password?: Secret;
  /** PEM texts. Absent: no TLS with http and unix, the system's authorities with https. */
  readonly tls?: TlsConfig;
}

export interface TlsConfig {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
}

export interface KubernetesConfig {
  readonly type: 'kubernetes';
  /** Paths, in order, as KUBECONFIG lists them. Empty with no `inline` and no `server`: the service account of our pod. */
  readonly kubeconfig: readonly string[];
  /** A kubeconfig's text itself. */
  readonly inline?: Secret;
  /** @defaultValue the file's current one */
  readonly context?: string;
  /** `https://10.0.0.1:6443`; wins over the kubeconfig's. */
  readonly server?: string;
  readonly tls?: TlsConfig;
  readonly token?: Secret;
  readonly insecureSkipVerify?: boolean;
}

/** Of messages: which store it is, and no secret. */
export function placeText(config: DatastoreConfig): string {
  switch (config.type) {
    case 'embedded':
      return config.file;
    case 'etcd':
      return `etcd ${config.endpoints.join(',')}`;
    case 'kubernetes':
      return `kubernetes ${config.server ?? (config.kubeconfig.join(':') || (config.inline ? 'by an inline kubeconfig' : 'of this pod'))}`;
    default:
      return assertNever(config);
  }
}

/** Something found in a store that is none of ours or cannot be read: told once, and left where it is. */
export interface StrangeEntry {
  readonly where: string;
  readonly problem: string;
}

/** What a store tells whoever opened it, besides answering. */
export interface StoreNotices {
  readonly onStrange?: (entry: StrangeEntry) => void;
}
