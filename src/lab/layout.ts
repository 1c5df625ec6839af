// SPDX-License-Identifier: Apache-2.0
/** Where a lab keeps its things and how they are called: all under one folder and one prefix, so that `down` finds them. */
import { createHash } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { cgroupRoot } from '../kernel/cgroup.ts';

/** Everything about one lab follows from its folder. */
export class LabLayout {
  readonly folder: string;
  /** Of every network namespace: two labs on one machine do not meet. */
  readonly prefix: string;

  constructor(folder: string) {
    this.folder = resolve(folder);
    const id = createHash('sha1').update(this.folder).digest('hex').slice(0, 6);
    this.prefix = `muslin-${id}-`;
  }

  /** The store's file, in a folder of its own, as its watchers watch the folder. */
  get datastore(): string {
    return join(this.folder, 'datastore', 'muslin.db');
  }
  /** The folder of the store, whichever it is. */
  get storeFolder(): string {
    return dirname(this.datastore);
  }
  /** etcd names its sockets like ports: `NAME:1`, in the folder that it runs in. */
  get etcdSocket(): string {
    return join(this.storeFolder, 'etcd:1');
  }
  get apiSocket(): string {
    return join(this.storeFolder, 'api.sock');
  }
  get storePid(): string {
    return join(this.storeFolder, 'store.pid');
  }
  get storeLog(): string {
    return join(this.storeFolder, 'store.log');
  }
  /** For kubectl, where the store is a Kubernetes API. */
  get kubeconfig(): string {
    return join(this.storeFolder, 'kubeconfig');
  }
  /** How agents find a store that is no file: Calico's form. */
  get storeConfig(): string {
    return join(this.storeFolder, 'calico.cfg');
  }
  get specFile(): string {
    return join(this.folder, 'lab.json');
  }
  get bpffs(): string {
    return join(this.folder, 'bpf');
  }
  get daemonSocket(): string {
    return join(this.folder, 'lab.sock');
  }
  get daemonPid(): string {
    return join(this.folder, 'lab.pid');
  }
  get daemonLog(): string {
    return join(this.folder, 'lab.log');
  }
  /** All that lies in the folder itself. */
  get entries(): readonly string[] {
    const paths = [this.specFile, this.bpffs, this.daemonSocket, this.daemonPid, this.daemonLog];
    return [...paths, dirname(this.datastore), dirname(this.nodeFolder('any'))].map((path) => basename(path));
  }
  /** Of all nodes. */
  get cgroup(): string {
    return join(cgroupRoot(), `${this.prefix}lab`);
  }
  get fabricNetns(): string {
    return `${this.prefix}fabric`;
  }

  nodeNetns(node: string): string {
    return `${this.prefix}node-${node}`;
  }
  podNetns(namespace: string, name: string): string {
    return `${this.prefix}pod-${namespace}.${name}`;
  }
  /** Of what runs on that node: its agent, and what is run in its Pods. */
  nodeCgroup(node: string): string {
    return join(this.cgroup, node);
  }
  nodeFolder(node: string): string {
    return join(this.folder, 'nodes', node);
  }
  agentSocket(node: string): string {
    return join(this.nodeFolder(node), 'agent.sock');
  }
  agentPid(node: string): string {
    return join(this.nodeFolder(node), 'agent.pid');
  }
  agentLog(node: string): string {
    return join(this.nodeFolder(node), 'agent.log');
  }
  /** A bpffs allows no dots in names. */
  guardFolder(node: string): string {
    return join(this.bpffs, node.replaceAll('.', '_'));
  }
}

const projectRoot = new URL('../../', import.meta.url).pathname;

/** MUSLIN_LAB, or `.lab` in the clone. */
export function defaultLabFolder(env: { readonly [name: string]: string | undefined }): string {
  return env.MUSLIN_LAB ?? join(projectRoot, '.lab');
}

export const cliEntry: string = join(projectRoot, 'src', 'cli', 'main.ts');
