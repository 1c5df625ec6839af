// SPDX-License-Identifier: Apache-2.0
/**
 * A lab of real processes in a folder of its own, for tests that do harm to it.
 *
 * Owns:       the lab's processes, namespaces and files. Takes in: resources. Gives out: addresses, settling, status.
 * Invariants: `labTest` ends every lab, also when the test fails, and then asserts that nothing is left of it; error
 *             lines in agents' logs fail the test unless it named them beforehand.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StatusReport } from '../../src/agent/status.ts';
import { run } from '../../src/cli/main.ts';
import type { DataplaneName } from '../../src/contract/config.ts';
import type { Datastore } from '../../src/contract/datastore.ts';
import { openDatastore } from '../../src/datastore/open.ts';
import { listNetns, NetNs } from '../../src/kernel/netns.ts';
import { ask, startLab, stopLab, untilEnforced } from '../../src/lab/control.ts';
import { LabLayout } from '../../src/lab/layout.ts';
import { podView } from '../../src/lab/pod-view.ts';
import {
  type DatastoreName,
  defaultPools,
  type LabSpec,
  labSpec,
  numberedNodes,
} from '../../src/lab/spec.ts';
import { labDatastore } from '../../src/lab/store-place.ts';
import { type Family, familyOf } from '../../src/lib/address.ts';
import type { Address, Revision } from '../../src/lib/brand.ts';
import { AppError } from '../../src/lib/errors.ts';
import { keyOf } from '../../src/model/kinds.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import type { Resource, ResourceKey } from '../../src/model/types.ts';

export interface LabTestOptions {
  readonly nodes: number;
  /** @defaultValue nftables */
  readonly dataplane?: DataplaneName;
  /** @defaultValue embedded */
  readonly datastore?: DatastoreName;
  /** Error lines that the test's own faults cause. @defaultValue none */
  readonly expectedErrors?: readonly RegExp[];
}

const settleTimeoutMs = 20_000;

export function labTest(
  promise: string,
  options: LabTestOptions,
  body: (lab: LabRig) => Promise<void>,
): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: network namespaces, netlink, bpf';
  test(promise, { skip }, async () => {
    const lab = new LabRig(options.nodes, options.dataplane, options.datastore);
    try {
      await lab.start();
      await body(lab);
      lab.assertNoErrors(options.expectedErrors ?? []);
    } catch (error) {
      process.stderr.write(`${lab.lastLogLines()}${String(error)}\n`); // what is left over may be said after it
      throw error;
    } finally {
      await lab.end();
      lab.assertNothingLeft();
    }
  });
}

export class LabRig {
  readonly layout: LabLayout;
  readonly spec: LabSpec;
  readonly #parent = mkdtempSync(join(tmpdir(), 'muslin-lab-'));
  readonly #linksBefore = hostLinks();
  readonly #open: Disposable[] = [];
  #store: Datastore | null = null;

  constructor(nodes: number, dataplane: DataplaneName = 'nftables', datastore: DatastoreName = 'embedded') {
    this.layout = new LabLayout(join(this.#parent, 'lab'));
    this.spec = labSpec(numberedNodes(nodes), defaultPools, dataplane, datastore);
  }

  async start(): Promise<void> {
    await startLab(this.layout, this.spec);
    await this.openStore();
  }

  get store(): Datastore {
    if (!this.#store) throw new TypeError('the lab was not started');
    return this.#store;
  }

  /** What the test opened itself, closed before the lab ends. */
  use<T extends Disposable>(resource: T): T {
    this.#open.push(resource);
    return resource;
  }

  /** Lets go of the store's file, for tests that move it. */
  async closeStore(): Promise<void> {
    await this.#store?.[Symbol.asyncDispose]();
    this.#store = null;
  }

  async openStore(): Promise<void> {
    const config = labDatastore(this.layout, this.spec.datastore);
    this.#store ??= await openDatastore(config, { missing: 'make' });
  }

  async put(...resources: readonly Resource[]): Promise<void> {
    for (const resource of resources) {
      const key = keyOf(resource);
      const found = await this.#found(key);
      if (found === null) await this.store.create(key, resource);
      else await this.store.update(key, resource, found);
    }
  }

  /** What is stored, changed: again when the lab wrote meanwhile. */
  async change(key: ResourceKey, to: (resource: Resource) => Resource): Promise<void> {
    for (;;) {
      const { resource, revision } = await this.store.get(key);
      try {
        await this.store.update(key, to(resource), revision);
        return;
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'CONFLICT') throw error;
      }
    }
  }

  async relabel(pod: string, labels: { readonly [key: string]: string }): Promise<void> {
    const [namespace = '', name = ''] = pod.split('/');
    await this.change({ kind: 'Pod', namespace, name }, (resource) => ({
      ...resource,
      metadata: { ...resource.metadata, labels },
    }));
  }

  async remove(key: ResourceKey): Promise<void> {
    await this.store.delete(key);
  }

  /** Until Pods run and every node enforces all that is stored. */
  async settle(): Promise<void> {
    const { revision } = await this.store.snapshot();
    const { late } = await untilEnforced(this.layout, this.spec, revision, settleTimeoutMs);
    assert.deepEqual(late, [], 'nodes that do not enforce what is stored');
  }

  /** Until `holds` does; fails after twenty seconds. */
  async until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + settleTimeoutMs;
    while (!(await holds())) {
      assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async address(pod: string, family: Family): Promise<Address> {
    const [namespace = '', name = ''] = pod.split('/');
    const { resource } = await this.store.get({ kind: 'Pod', namespace, name });
    const found = podView(resource).addresses.find((address) => familyOf(address) === family);
    assert.ok(found, `pod ${pod} has no IPv${family} address: ${JSON.stringify(resource.status)}`);
    return found;
  }

  pod(pod: string): NetNs {
    const [namespace = '', name = ''] = pod.split('/');
    return this.use(NetNs.open(this.layout.podNetns(namespace, name)));
  }

  node(name: string): NetNs {
    return this.use(NetNs.open(this.layout.nodeNetns(name)));
  }

  /** Of the host's end. */
  ifName(pod: string): string {
    const [namespace = '', name = ''] = pod.split('/');
    return workloadInterfaceName(namespace, name);
  }

  agentPid(node: string): number {
    return Number(readFileSync(this.layout.agentPid(node), 'utf8'));
  }

  get daemonPid(): number {
    return Number(readFileSync(this.layout.daemonPid, 'utf8'));
  }

  async status(node: string): Promise<StatusReport> {
    return (await ask(this.layout.agentSocket(node), '/status')).body as StatusReport;
  }

  async health(node: string, question: 'readiness' | 'liveness'): Promise<number> {
    return (await ask(this.layout.agentSocket(node), `/${question}`).catch(() => ({ status: 0 }))).status;
  }

  /** A command of the user's, in this process. `--lab` is added. */
  async cli(...argv: readonly string[]): Promise<{ code: number; out: string; notes: string }> {
    const texts = { out: '', notes: '' };
    const io = {
      env: {},
      out: (text: string) => {
        texts.out += text;
      },
      note: (text: string) => {
        texts.notes += `${text}\n`;
      },
      readStdin: () => '',
      stdin: () => process.stdin,
    };
    const code = await run([...argv, '--lab', this.layout.folder], io);
    return { code, ...texts };
  }

  assertNoErrors(expected: readonly RegExp[]): void {
    const errors = this.#logLines()
      .filter((line) => /"level":("error"|"fatal"|50|60)/.test(line) || !line.startsWith('{'))
      .filter((line) => !expected.some((pattern) => pattern.test(line)));
    assert.deepEqual(errors, [], 'error lines in the logs of agents and lab');
  }

  lastLogLines(): string {
    return this.#logLines().slice(-40).join('\n').concat('\n');
  }

  async end(): Promise<void> {
    for (const resource of this.#open) resource[Symbol.dispose]();
    await this.closeStore();
    await stopLab(this.layout);
  }

  /** No namespace, link, mount, process or file. */
  assertNothingLeft(): void {
    assert.deepEqual(
      listNetns().filter((name) => name.startsWith(this.layout.prefix)),
      [],
      'namespaces',
    );
    assert.deepEqual(hostLinks(), this.#linksBefore, 'links');
    assert.ok(!existsSync(this.layout.cgroup), 'control groups');
    assert.doesNotMatch(readFileSync('/proc/self/mounts', 'utf8'), new RegExp(this.#parent), 'mounts');
    assert.deepEqual(processesNaming(this.#parent), [], 'processes');
    assert.deepEqual(readdirSync(this.#parent), [], 'files');
    rmdirSync(this.#parent);
  }

  async #found(key: ResourceKey): Promise<Revision | null> {
    try {
      return (await this.store.get(key)).revision;
    } catch (error) {
      if (error instanceof AppError && error.code === 'NOT_FOUND') return null;
      throw error;
    }
  }

  #logLines(): string[] {
    const files = [this.layout.daemonLog, ...this.spec.nodes.map((node) => this.layout.agentLog(node.name))];
    return files
      .filter((file) => existsSync(file))
      .flatMap((file) =>
        readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== ''),
      );
  }
}

/** Processes whose command line names that folder. */
function processesNaming(folder: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // it ended meanwhile
      }
    })
    .filter((line) => line.includes(folder));
}

function hostLinks(): readonly string[] {
  return readdirSync('/sys/class/net').sort();
}
