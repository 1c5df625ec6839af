// SPDX-License-Identifier: Apache-2.0
/**
 * One agent process per node, inside the node's namespace and control group, started again when it dies, as systemd or a kubelet would.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { hasCgroups } from '../kernel/cgroup.ts';
import { NetNs } from '../kernel/netns.ts';
import { cliEntry, type LabLayout } from './layout.ts';
import { onNode } from './node-cgroup.ts';
import type { PodsLog } from './pods.ts';
import type { LabSpec } from './spec.ts';

const restartAfterMs = 100;

export class Agents {
  readonly #layout: LabLayout;
  readonly #log: PodsLog;
  readonly #children = new Map<string, ChildProcess>();
  #stopping = false;

  constructor(layout: LabLayout, log: PodsLog) {
    this.#layout = layout;
    this.#log = log;
  }

  start(spec: LabSpec): void {
    for (const node of spec.nodes) this.#spawn(node.name, spec);
  }

  /** They leave their kernels as they are. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.values()].map(ended));
  }

  #spawn(node: string, spec: LabSpec): void {
    mkdirSync(this.#layout.nodeFolder(node), { recursive: true });
    const log = openSync(this.#layout.agentLog(node), 'a');
    using netns = NetNs.open(this.#layout.nodeNetns(node));
    const words = [...process.execArgv, cliEntry, ...this.#arguments(node, spec)];
    const child = onNode(this.#layout, node, () =>
      netns.spawn(process.execPath, words, { stdio: ['ignore', log, log] }),
    );
    closeSync(log);
    writeFileSync(this.#layout.agentPid(node), `${child.pid ?? ''}\n`);
    this.#children.set(node, child);
    child.once('exit', (code, signal) => this.#onExit(node, spec, code, signal));
  }

  #arguments(node: string, spec: LabSpec): readonly string[] {
    const places = { socket: this.#layout.agentSocket(node), bpf: this.#layout.guardFolder(node) };
    return [
      'agent',
      '--node',
      node,
      ...this.#store(spec),
      '--socket',
      places.socket,
      '--bpf',
      places.bpf,
      '--dataplane',
      spec.dataplane,
      ...(hasCgroups() ? ['--cgroup', this.#layout.nodeCgroup(node)] : []),
    ];
  }

  #store({ datastore }: LabSpec): readonly string[] {
    if (datastore === 'embedded') return ['--datastore', this.#layout.datastore];
    return ['--config', this.#layout.storeConfig];
  }

  #onExit(node: string, spec: LabSpec, code: number | null, signal: NodeJS.Signals | null): void {
    this.#children.delete(node);
    if (this.#stopping) return;
    this.#log.warn({ node, code, signal }, 'agent ended; starting it again');
    setTimeout(() => {
      if (!this.#stopping) this.#spawn(node, spec);
    }, restartAfterMs);
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}
