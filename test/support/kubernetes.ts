// SPDX-License-Identifier: Apache-2.0
/** Our API server as tests use it: with Calico's definitions, in a temporary folder, to be ended and started again. */
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../src/apiserver/server.ts';
import type { KubernetesConfig } from '../../src/datastore/config.ts';
import { installDefinitions } from '../../src/datastore/kubernetes/definitions.ts';
import {
  type KubernetesOptions,
  type KubernetesStore,
  openKubernetes,
} from '../../src/datastore/kubernetes/store.ts';
import { Secret } from '../../src/lib/secret.ts';
import { customResourceDefinitions } from '../../src/model/schema/custom-resource-definitions.ts';

export class TestCluster implements AsyncDisposable {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'muslin-api-'));
  readonly #options: ApiServerOptions;
  #server: ApiServer | null = null;
  #port = 0;

  private constructor(options: ApiServerOptions) {
    this.#options = options;
  }

  static async start(options: ApiServerOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    await cluster.up();
    await cluster.installDefinitions();
    return cluster;
  }

  get server(): ApiServer {
    if (!this.#server) throw new TypeError('the server does not run');
    return this.#server;
  }

  get config(): KubernetesConfig {
    return { type: 'kubernetes', kubeconfig: [], inline: new Secret(this.server.adminKubeconfig()) };
  }

  open(options: KubernetesOptions = {}): KubernetesStore {
    return openKubernetes(this.config, options);
  }

  /** A kubeconfig that is read anew for each connection. */
  get kubeconfig(): string {
    return join(this.#folder, 'kubeconfig');
  }

  writeKubeconfig(text: string = this.server.adminKubeconfig()): void {
    writeFileSync(this.kubeconfig, text, { mode: 0o600 });
  }

  openByFile(options: KubernetesOptions = {}): KubernetesStore {
    return openKubernetes({ type: 'kubernetes', kubeconfig: [this.kubeconfig] }, options);
  }

  async installDefinitions(): Promise<void> {
    await installDefinitions(this.config, customResourceDefinitions());
  }

  /** On the port that it had before. */
  async up(): Promise<void> {
    this.#server = await startApiServer({ ...this.#options, folder: this.#state, port: this.#port });
    this.#port = Number(new URL(this.#server.url).port);
  }

  async down(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  /** Of what is stored now; the server must be down for `restore`. */
  backUp(): void {
    cpSync(this.#state, this.#backup, { recursive: true });
  }

  restore(): void {
    rmSync(this.#state, { recursive: true });
    cpSync(this.#backup, this.#state, { recursive: true });
  }

  /** All but certificates; the server must be down. */
  wipe(): void {
    const entries = readdirSync(this.#state).filter((name) => name !== 'certificates');
    for (const name of entries) rmSync(join(this.#state, name), { recursive: true });
  }

  /** Another authority at the next start. */
  forgetCertificates(): void {
    rmSync(join(this.#state, 'certificates'), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    rmSync(this.#folder, { recursive: true });
  }

  get #state(): string {
    return join(this.#folder, 'state');
  }

  get #backup(): string {
    return join(this.#folder, 'backup');
  }
}
