// SPDX-License-Identifier: Apache-2.0
/**
 * Services without kube-proxy: what is stored, to what one node must know to translate addresses.
 *
 * Owns:       the present Services, EndpointSlices and Pods, who has which frontend, and what was sent.
 * Takes in:   resources as they are stored, in any order, repeated, skipping states; null is absent. What cannot be read is
 *             absent and named by `faults`.
 * Gives out:  on flush, the net difference as TranslationMessages: the configuration, then what goes, then what is new.
 * Invariants: output is a function of the present state, but for one service: default/kubernetes keeps the backends that it
 *             last had when it would have none, for by them alone an agent may hear that there are others.
 *             Nothing is said before the syncer was in sync, and then all at once; a change that changes nothing says
 *             nothing. One frontend is of one service: the oldest.
 * Next:       service-spec.ts and endpoint-slice.ts read, choice.ts and frontends.ts decide, surroundings.ts is the rest.
 */
import type { ResourceChange, SyncStatus } from '../contract/datastore.ts';
import type { ServiceFrontend, TranslationMessage } from '../contract/services.ts';
import type { Family } from '../lib/address.ts';
import type { KeyPath } from '../lib/brand.ts';
import type { Fault } from '../lib/errors.ts';
import { type LocalWords, noWords } from '../model/felix/settings.ts';
import { keyPath } from '../model/kinds.ts';
import type { Resource, ResourceKey } from '../model/types.ts';
import { Claims, compareAge, frontendText } from './claims.ts';
import { type PortEndpoint, portEndpoints } from './endpoint.ts';
import { EndpointSources } from './endpoint-sources.ts';
import { frontendsOf } from './frontends.ts';
import { type HealthCheck, healthCheckOf } from './health-check.ts';
import { readService, type ServicePort, type ServiceSpec } from './service-spec.ts';
import { Surroundings } from './surroundings.ts';

export interface ServiceGraphConfig {
  /** The name of the node for which to calculate. */
  readonly node: string;
  /** What the node's own file and environment say of its settings. */
  readonly local?: LocalWords;
}

export interface ResourceFaults {
  readonly path: KeyPath;
  readonly faults: readonly Fault[];
}

type Emit = (message: TranslationMessage) => void;
type Work = Generator<void, void>;

/** The API server's own, by which a cluster's agents reach their store. */
const apiServer = 'default/kubernetes';

export class ServiceGraph {
  readonly #surroundings: Surroundings;
  readonly #specs = new Map<string, ServiceSpec>();
  readonly #sources = new EndpointSources();
  readonly #claims = new Claims();
  /** All that each service asks for, whether it gets it or not. */
  readonly #wanted = new Map<string, readonly ServiceFrontend[]>();
  readonly #checks = new Map<string, HealthCheck>();
  readonly #readFaults = new Map<KeyPath, readonly Fault[]>();
  readonly #claimFaults = new Map<KeyPath, readonly Fault[]>();
  /** Of the API server's service, by port and family. */
  readonly #lastGood = new Map<string, readonly PortEndpoint[]>();
  readonly #dirty = new Set<string>();
  #isConfigDirty = true;
  /** As text, to tell what is new. */
  readonly #sent = new Map<string, string>();
  #sentConfig = '';
  #isInSync = false;
  #pass: Work | null = null;
  #emit: Emit = () => {};

  constructor({ node, local = noWords }: ServiceGraphConfig) {
    this.#surroundings = new Surroundings(node, local);
  }

  onResources(changes: readonly ResourceChange[]): void {
    for (const change of changes) this.#onResource(change);
  }

  onStatus(status: SyncStatus): void {
    if (status === 'in-sync') this.#isInSync = true;
  }

  /**
   * @param shouldPause - asked for each service; without it all is done at once.
   * @returns whether all that was told is said; if not, call again to go on.
   */
  flush(emit: Emit, shouldPause: () => boolean = () => false): boolean {
    if (!this.#isInSync) return true;
    this.#emit = emit;
    while (this.#pass || this.#isConfigDirty || this.#dirty.size > 0) {
      this.#pass ??= this.#newPass();
      while (!this.#pass.next().done) if (shouldPause()) return false;
      this.#pass = null;
    }
    return true;
  }

  /** As of the last flush, in order of ports; a port that two services name is the older one's. */
  healthChecks(): readonly HealthCheck[] {
    const age = (id: string) => ({ id, created: this.#specs.get(id)?.created ?? '' });
    const oldestFirst = [...this.#checks].sort(([a], [b]) => compareAge(age(a), age(b)));
    const byPort = new Map<number, HealthCheck>();
    for (const [, check] of oldestFirst) if (!byPort.has(check.port)) byPort.set(check.port, check);
    return [...byPort.values()].sort((a, b) => a.port - b.port);
  }

  /** What is not in force as written, by path. */
  faults(): readonly ResourceFaults[] {
    const paths = new Set([...this.#readFaults.keys(), ...this.#claimFaults.keys()]);
    return [...paths].sort().map((path) => ({
      path,
      faults: [...(this.#readFaults.get(path) ?? []), ...(this.#claimFaults.get(path) ?? [])],
    }));
  }

  #onResource({ key, resource }: ResourceChange): void {
    switch (key.kind) {
      case 'Service':
        return this.#onService(key, resource);
      case 'EndpointSlice':
        return this.#onSlice(key, resource);
      case 'Pod':
        return this.#mark(this.#sources.onPod(key.namespace ?? 'default', key.name, resource));
      default:
        return this.#onSurroundings(key, resource);
    }
  }

  #onService(key: ResourceKey, resource: Resource | null): void {
    const id = idOf(key);
    const { service, faults } =
      resource === null ? { service: null, faults: [] } : readService(key, resource);
    this.#note(keyPath(key), faults);
    if (service) this.#specs.set(id, service);
    else this.#specs.delete(id);
    this.#sources.onService(id, service);
    this.#mark([id]);
  }

  #onSlice(key: ResourceKey, resource: Resource | null): void {
    const { services, faults } = this.#sources.onSlice(keyPath(key), key.namespace ?? 'default', resource);
    this.#note(keyPath(key), faults);
    this.#mark(services);
  }

  #onSurroundings(key: ResourceKey, resource: Resource | null): void {
    const different = this.#surroundings.onResource(key, resource);
    if (different !== 'nothing') this.#isConfigDirty = true;
    if (different === 'config-and-zones') this.#mark(this.#specs.keys());
  }

  #mark(services: Iterable<string>): void {
    for (const id of services) this.#dirty.add(id);
  }

  #note(path: KeyPath, faults: readonly Fault[]): void {
    if (faults.length > 0) this.#readFaults.set(path, faults);
    else this.#readFaults.delete(path);
  }

  /** What it says is said at once: a data plane never sees a frontend between two services. */
  *#newPass(): Work {
    const messages: TranslationMessage[] = this.#configMessages();
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    const touched = new Set(dirty);
    for (const id of dirty) {
      for (const other of this.#resolve(id)) touched.add(other);
      yield;
    }
    const updates: TranslationMessage[] = [];
    for (const id of [...touched].sort()) {
      const message = this.#difference(id);
      if (message) (message.kind === 'service-remove' ? messages : updates).push(message);
      yield;
    }
    for (const message of [...messages, ...updates]) this.#emit(message);
  }

  #configMessages(): TranslationMessage[] {
    if (!this.#isConfigDirty) return [];
    this.#isConfigDirty = false;
    const config = this.#surroundings.config();
    const text = JSON.stringify(config);
    if (text === this.#sentConfig) return [];
    this.#sentConfig = text;
    return [{ kind: 'translation-update', config }];
  }

  /** @returns the other services that may have won or lost a frontend by it. */
  #resolve(id: string): ReadonlySet<string> {
    const spec = this.#specs.get(id);
    if (!spec) return this.#forget(id);
    const { here } = this.#surroundings;
    const groups = this.#sources.groupsOf(id, spec, (node) => this.#surroundings.zoneOf(node));
    const endpointsOf = (port: ServicePort, family: Family) =>
      this.#keptAlive(id, port, family, portEndpoints(groups, port, family, here.node));
    const frontends = frontendsOf(spec, endpointsOf, here);
    this.#wanted.set(id, frontends);
    const check = healthCheckOf(spec, groups, here.node);
    if (check) this.#checks.set(id, check);
    else this.#checks.delete(id);
    return this.#claims.set(id, spec.created, frontends);
  }

  #forget(id: string): ReadonlySet<string> {
    this.#wanted.delete(id);
    this.#checks.delete(id);
    return this.#claims.set(id, '', []);
  }

  #keptAlive(
    id: string,
    port: ServicePort,
    family: Family,
    found: readonly PortEndpoint[],
  ): readonly PortEndpoint[] {
    if (id !== apiServer) return found;
    const key = `${port.name} ${port.protocol} ${family}`;
    const isAnswered = found.some(({ ready, serving, terminating }) => ready || (serving && terminating));
    if (isAnswered) this.#lastGood.set(key, found);
    return this.#lastGood.get(key) ?? found;
  }

  #difference(id: string): TranslationMessage | null {
    const path = keyPath({ kind: 'Service', name: id });
    const wanted = this.#wanted.get(id) ?? [];
    const frontends = wanted.filter((frontend) => this.#claims.owner(frontend) === id);
    this.#noteLosses(path, id, wanted);
    if (frontends.length === 0) return this.#sent.delete(id) ? { kind: 'service-remove', id: path } : null;
    const service = { name: id, frontends };
    const text = JSON.stringify(service);
    if (this.#sent.get(id) === text) return null;
    this.#sent.set(id, text);
    return { kind: 'service-update', id: path, service };
  }

  #noteLosses(path: KeyPath, id: string, wanted: readonly ServiceFrontend[]): void {
    const lost = wanted.flatMap((frontend): Fault[] => {
      const owner = this.#claims.owner(frontend);
      if (owner === id) return [];
      const message = `${frontendText(frontend)} is ${owner}'s, which is older: it has no effect here`;
      return [{ path: 'spec', message }];
    });
    if (lost.length > 0) this.#claimFaults.set(path, lost);
    else this.#claimFaults.delete(path);
  }
}

function idOf({ namespace = 'default', name }: ResourceKey): string {
  return `${namespace}/${name}`;
}
