// SPDX-License-Identifier: Apache-2.0
/**
 * A node whose eBPF driver lives in a worker, as the agent's does: it is in the node's network namespace for good, and packets
 * are sent while it works.
 *
 * Pod `b` admits TCP to port 80 from the members of one set and nothing else; all other pods admit all. The driver is told
 * what to do anew whenever it says that someone changed something, as an agent does.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../../src/agent/config.ts';
import { openLog } from '../../src/agent/log.ts';
import { RemoteDriver } from '../../src/agent/remote-driver.ts';
import { anyPeer } from '../../src/calc/resolve-rule.ts';
import type { DataplaneName } from '../../src/contract/config.ts';
import type {
  ApplyReport,
  DataplaneMessage,
  ResolvedEndpoint,
  ResolvedRule,
} from '../../src/contract/dataplane.ts';
import type { TranslationMessage } from '../../src/contract/services.ts';
import type { MapSizes } from '../../src/drivers/ebpf/datapath.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { cgroupRoot } from '../../src/kernel/cgroup.ts';
import type { Address, Cidr, IpSetId, KeyPath } from '../../src/lib/brand.ts';
import { hostCidr } from '../../src/lib/cidr.ts';
import { Echo } from './echo.ts';
import { NodeRig } from './node-rig.ts';
import { Traffic } from './traffic.ts';

export const admittedPort = 80;
export const forbiddenPort = 9999;
export const policyId: KeyPath = 'NetworkPolicy/default/to-b' as KeyPath;
export const setId: IpSetId = 's:to-b' as IpSetId;

const families = [4, 6] as const;

export interface SceneOptions {
  readonly pods?: readonly string[];
  readonly mapSizes?: MapSizes;
  /** Of pod b. @defaultValue TCP to 80 from the set */
  readonly ingress?: readonly ResolvedRule[];
}

export function rule(change: Partial<ResolvedRule>): ResolvedRule {
  return { action: 'allow', src: anyPeer, dst: anyPeer, ...change };
}

export function idOf(name: string): KeyPath {
  return `WorkloadEndpoint/default/${name}` as KeyPath;
}

export class EbpfScene implements AsyncDisposable {
  readonly rig: NodeRig;
  readonly heard: string[] = [];
  readonly #options: SceneOptions;
  readonly #messages = new Map<string, DataplaneMessage>();
  readonly #translations: TranslationMessage[] = [];
  readonly #stack = new DisposableStack();
  #driver: RemoteDriver | null = null;
  #applying: Promise<ApplyReport> | null = null;
  /** What applies changed since somebody asked. */
  #changed = 0;

  constructor(options: SceneOptions = {}) {
    this.#options = options;
    const pods = options.pods ?? ['a', 'b', 'c'];
    this.rig = new NodeRig(pods, []);
    for (const name of pods) if (name !== 'b') this.listen(name);
    this.#stack.use(new Echo(this.rig.workload('b').netns, { address: '::' as Address, port: admittedPort }));
    this.#tellAll(pods);
  }

  /** All that is wanted, under the name of what it is about. */
  tell(key: string, message: DataplaneMessage): void {
    this.#messages.set(key, message);
    this.#driver?.onMessage(message);
  }

  /** An agent that starts is not told of what went; one that lives is. */
  untell(key: string, removal: DataplaneMessage): void {
    this.#messages.delete(key);
    this.#driver?.onMessage(removal);
  }

  translate(message: TranslationMessage): void {
    this.#translations.push(message);
    this.#driver?.onTranslation(message);
  }

  /** @param change - of an endpoint that all its policies allow everything, but for pod b. */
  endpoint(name: string, change: Partial<ResolvedEndpoint> = {}): void {
    const { ifName, addresses } = this.rig.workload(name);
    const tiers =
      name === 'b'
        ? [{ name: 'default', defaultAction: 'deny' as const, ingress: [policyId], egress: [] }]
        : [];
    const endpoint: ResolvedEndpoint = {
      name: `default/${name}`,
      ifName,
      addresses,
      adminUp: true,
      tiers,
      profiles: ['open'],
      ...change,
    };
    this.tell(name, { kind: 'endpoint-update', id: idOf(name), endpoint });
  }

  forget(name: string): void {
    this.untell(name, { kind: 'endpoint-remove', id: idOf(name) });
  }

  members(...names: readonly string[]): void {
    const members = names.flatMap((name) => this.nets(name));
    this.tell('set', { kind: 'ipset-update', id: setId, set: { type: 'net', members, description: 'to b' } });
  }

  nets(name: string): readonly Cidr[] {
    return this.rig.workload(name).addresses.map(hostCidr);
  }

  ingress(rules: readonly ResolvedRule[]): void {
    this.tell('policy', {
      kind: 'policy-update',
      id: policyId,
      policy: {
        kind: 'NetworkPolicy',
        namespace: 'default',
        name: 'to-b',
        tier: 'default',
        ingress: rules,
        egress: [],
      },
    });
  }

  /** A new agent, told all there is; the one before must have been stopped. */
  async start(dataplane: DataplaneName = 'ebpf'): Promise<ApplyReport> {
    assert.equal(this.#driver, null);
    const config: AgentConfig & { readonly mapSizes: MapSizes } = {
      node: 'n1',
      dataplane,
      datastore: { type: 'embedded', file: '' },
      socket: '',
      cgroup: cgroupRoot(),
      logLevel: 'fatal',
      local: { file: new Map(), environment: new Map() },
      mapSizes: this.#options.mapSizes ?? {},
      ...this.rig.driverOptions,
    };
    this.#driver = this.rig.node.run(() => new RemoteDriver(config, openLog(config)));
    this.#driver.onStrangersChange((reason) => this.#hear(reason));
    for (const message of this.#translations) this.#driver.onTranslation(message);
    for (const message of this.#messages.values()) this.#driver.onMessage(message);
    return this.apply();
  }

  async stop(): Promise<void> {
    const driver = this.#driver;
    this.#driver = null;
    await this.#applying?.catch(() => {});
    this.#applying = null;
    await driver?.[Symbol.asyncDispose]();
  }

  async apply(): Promise<ApplyReport> {
    assert.ok(this.#driver);
    const report = await this.#driver.apply();
    this.#changed += report.changed;
    return report;
  }

  async resync(): Promise<ApplyReport> {
    this.#driver?.queueResync('test');
    return this.apply();
  }

  /** Does harm, and waits until the driver put something right. @returns after how many milliseconds. */
  async repaired(what: string, harm: () => void): Promise<number> {
    await this.quiet();
    const start = performance.now();
    harm();
    await this.until(() => this.#changed > 0, `${what} is put right`);
    await this.quiet();
    return performance.now() - start;
  }

  /** Until nothing is left to do. */
  async quiet(): Promise<void> {
    while (this.#applying) await this.#applying;
    while ((await this.apply()).changed > 0);
    this.#changed = 0;
  }

  async until(done: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!(await done())) {
      assert.ok(Date.now() < deadline, `waited in vain: ${what}; heard ${this.heard.slice(-5).join('; ')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Who may speak to pod b, by port and family. */
  async verdicts(ports: readonly number[] = [admittedPort]): Promise<string> {
    const results: string[] = [];
    for (const from of ['a', 'c']) {
      for (const port of ports) {
        for (const family of families) {
          if (await this.rig.connects(from, 'b', port, family)) results.push(`${from}:${port}/${family}`);
        }
      }
    }
    return results.join(' ');
  }

  /** Where the driver's map is pinned. */
  pinOf(name: string): string {
    const { bpf } = this.rig.driverOptions;
    const [folder = ''] = readdirSync(bpf).filter((each) => each.startsWith('maps'));
    return join(bpf, folder, name);
  }

  /** The driver's own map, as another process would open it. */
  map(name: string): BpfMap {
    const map = BpfMap.openPin(this.pinOf(name));
    assert.ok(map, `no map ${name}`);
    return map;
  }

  /** Something listens where it must not be reached, and connections live on. @param forbidden - who may not reach b's port 80 */
  async traffic(forbidden: readonly string[] = ['c']): Promise<Traffic> {
    const traffic = this.#stack.use(new Traffic());
    traffic.victim('b', this.rig.workload('b').netns, forbiddenPort);
    for (const family of families) {
      const address = this.rig.address('b', family);
      const way = (name: string) => ({ name: `${name} IPv${family}`, from: this.rig.workload(name).netns });
      traffic.flow('TCP', { ...way('a'), to: { address, port: admittedPort } });
      for (const name of forbidden) traffic.forbid({ ...way(name), to: { address, port: admittedPort } });
      for (const name of ['a', ...forbidden])
        traffic.forbid({ ...way(name), to: { address, port: forbiddenPort } });
    }
    await traffic.start();
    await traffic.goOn(5);
    return traffic;
  }

  listen(name: string): void {
    this.#stack.use(
      new Echo(this.rig.workload(name).netns, { address: '::' as Address, port: admittedPort }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#stack[Symbol.dispose]();
    await this.rig[Symbol.asyncDispose]();
  }

  #tellAll(pods: readonly string[]): void {
    this.members('a');
    const toPort = { ...anyPeer, ports: [{ first: admittedPort, last: admittedPort }] };
    const usual = [rule({ protocol: 6, src: { ...anyPeer, sets: [setId] }, dst: toPort })];
    this.ingress(this.#options.ingress ?? usual);
    this.tell('open', {
      kind: 'profile-update',
      name: 'open',
      profile: { missing: false, ingress: [rule({})], egress: [rule({})] },
    });
    for (const name of pods) this.endpoint(name);
  }

  /** Many words, one apply: as the agent's loop does it. */
  #hear(reason: string): void {
    this.heard.push(reason);
    this.#applying ??= this.#applySoon();
  }

  async #applySoon(): Promise<ApplyReport> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.#applying = null;
    return this.#driver ? this.apply() : { changed: 0, failed: [], openEndpoints: [] };
  }
}
