// SPDX-License-Identifier: Apache-2.0
/** `muslin apiserver` as a process of its own, on the same port whenever it is started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesConfig } from '../../src/datastore/config.ts';
import { installDefinitions } from '../../src/datastore/kubernetes/definitions.ts';
import { type KubernetesStore, openKubernetes } from '../../src/datastore/kubernetes/store.ts';
import { customResourceDefinitions } from '../../src/model/schema/custom-resource-definitions.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const patienceMs = 20_000;
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ApiProcess implements AsyncDisposable {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'muslin-api-process-'));
  #child: ChildProcess | null = null;
  #port = '0';

  static async start(): Promise<ApiProcess> {
    const server = new ApiProcess();
    await server.up();
    await installDefinitions(server.config, customResourceDefinitions());
    return server;
  }

  get config(): KubernetesConfig {
    return { type: 'kubernetes', kubeconfig: [join(this.#folder, 'kubeconfig')] };
  }

  open(): KubernetesStore {
    return openKubernetes(this.config);
  }

  async up(): Promise<void> {
    const [kubeconfig = ''] = this.config.kubeconfig;
    rmSync(kubeconfig, { force: true });
    const place = ['--folder', join(this.#folder, 'state'), '--kubeconfig', kubeconfig];
    const words = [
      '--disable-warning=ExperimentalWarning',
      main,
      'apiserver',
      '--listen',
      `127.0.0.1:${this.#port}`,
      ...place,
    ];
    this.#child = spawn(process.execPath, words, { stdio: 'ignore' });
    running.add(this.#child);
    for (const end = performance.now() + patienceMs; !existsSync(kubeconfig); await delay(20))
      if (performance.now() > end) throw new Error('the API server does not come up');
    this.#port = /server: https:\/\/127\.0\.0\.1:(\d+)/.exec(readFileSync(kubeconfig, 'utf8'))?.[1] ?? '';
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child) return;
    running.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true });
  }
}
