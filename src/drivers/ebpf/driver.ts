// SPDX-License-Identifier: Apache-2.0
/**
 * The eBPF data plane: messages to programs and maps at the links of the node.
 *
 *     messages -> policies.ts (compile.ts: instructions), ip-sets.ts, routes.ts, services.ts, settings.ts   what is wanted, in maps
 *              -> links.ts: which programs a link's packets meet          -> hooks.ts: the programs at the links
 *
 * Owns:       the programs and maps of bpf/, pinned; the programs at workloads' and the network's links; the gate in nftables; the
 *             routes with protocol 80.
 * Takes in:   DataplaneMessages and TranslationMessages; events of links, routes and nftables. Gives out: a report per apply.
 * Invariants: a link opens only when all policies it needs are loaded and its rows written, and closes before they are taken away;
 *             a policy is replaced in one write, so packets meet the old or the new one; what cannot be loaded closes the
 *             endpoints that need it, names why, and leaves the rest alone; flows outlive the agent.
 * Next:       bpf/types.h and bpf/classifier.c for what packets meet; docs/ebpf.md for the path as a drawing.
 */
import { dirname } from 'node:path';
import type {
  ApplyFailure,
  ApplyReport,
  DataplaneDriver,
  DataplaneMessage,
  ResolvedHostEndpoint,
} from '../../contract/dataplane.ts';
import type { ObservedDataplane } from '../../contract/flow.ts';
import type { InspectableDataplane, Inspection, InspectionAnswer } from '../../contract/inspect.ts';
import type { TranslatingDataplane, TranslationConfig, TranslationMessage } from '../../contract/services.ts';
import { isBpffs, mountBpffs } from '../../kernel/bpf/bpffs.ts';
import { testRun } from '../../kernel/bpf/test-run.ts';
import { answeredConnections } from '../../kernel/conntrack.ts';
import { enableForwarding } from '../../kernel/harden.ts';
import { watchRoutes } from '../../kernel/rtnetlink/watch.ts';
import { familyOf } from '../../lib/address.ts';
import type { Address, IfName, KeyPath } from '../../lib/brand.ts';
import { KernelError } from '../../lib/errors.ts';
import { parseIfName } from '../../lib/if-name.ts';
import { NodeNetwork } from '../linux/node-network.ts';
import { ConnectHooks } from './connect.ts';
import { Datapath, type MapSizes } from './datapath.ts';
import { EarlyDrops } from './early-drops.ts';
import { EndpointBook } from './endpoint-book.ts';
import { EndpointPolicies } from './endpoint-policies.ts';
import { type EventNames, FlowEvents, type FrontendName } from './events.ts';
import { Gate } from './gate.ts';
import { type HookKind, Hooks } from './hooks.ts';
import { inspect } from './inspect.ts';
import type { Inspected } from './inspected.ts';
import { IpSetMaps } from './ip-sets.ts';
import { LinkNames } from './link-names.ts';
import { isLinkLocal } from './links.ts';
import { type MapRows, reconciled } from './map-table.ts';
import { endpointId } from './names.ts';
import { NodeLinks, type Refusals } from './node-links.ts';
import { PolicyPrograms } from './policies.ts';
import { Routes } from './routes.ts';
import { Services } from './services.ts';
import { noTranslation, Settings } from './settings.ts';
import { type Owner, type OwnerOf, takenFlows } from './take-over.ts';

export interface EbpfOptions {
  /** The first letters of every workload's interface on the host. */
  readonly interfacePrefix: string;
  /** Folder on a BPF file system, of this network namespace alone. */
  readonly bpf: string;
  /** Folder in a cgroup2: sockets below it are led to backends when they connect. Absent: none are. */
  readonly cgroup?: string;
  /** In place of what bpf/maps.h says. */
  readonly mapSizes?: MapSizes;
}

/** Nothing tells of a detached tcx program: ask. */
const hookPollMs = 500;
/** Nor of a changed sysctl; a round costs a dozen small reads per link. */
const hardenEveryPolls = 10;
/** Flows are looked at for time-outs; felix/bpf/conntrack: every 10 s. */
const sweepEveryPolls = 20;
/** A frame's least: what a program that looks at no packet is run with. */
const noFrame = new Uint8Array(64);
const families = [4, 6] as const;

export class EbpfDriver
  implements DataplaneDriver, TranslatingDataplane, InspectableDataplane, ObservedDataplane
{
  readonly name = 'ebpf';
  readonly #datapath: Datapath;
  readonly #network: NodeNetwork;
  readonly #routeEvents: Disposable;
  readonly #hooks: Hooks;
  readonly #gate: Gate;
  readonly #earlyDrops: EarlyDrops;
  readonly #connect: ConnectHooks | null;
  readonly #ipSets = new IpSetMaps();
  readonly #policies: PolicyPrograms;
  readonly #wishes: { readonly workloads: EndpointPolicies; readonly hosts: EndpointPolicies };
  readonly #routes: Routes;
  readonly #services: Services;
  readonly #settings: Settings;
  readonly #links: MapRows;
  readonly #nodeLinks: NodeLinks;
  readonly #linkNames: LinkNames;
  readonly #book = new EndpointBook();
  readonly #audits: readonly Audited[];
  #events: FlowEvents | null = null;
  readonly #poll: NodeJS.Timeout;
  /** Before this process. */
  readonly #wereInForce: boolean;
  #translation: TranslationConfig = noTranslation;
  #listener: (reason: string) => void = () => {};
  #polls = 0;
  /** The first apply was done. */
  #inForce = false;
  #raising = false;
  #isDisposed = false;

  /** In the network namespace of the calling thread, for good. @throws {KernelError} {VerifierError} {NotFoundError} */
  constructor(options: EbpfOptions) {
    if (!isBpffs(dirname(options.bpf))) mountBpffs(dirname(options.bpf));
    this.#datapath = Datapath.open(options.bpf, options.mapSizes);
    this.#network = new NodeNetwork((reason) => this.#strangersChange(reason));
    this.#linkNames = new LinkNames(this.#network.interfaces);
    this.#routeEvents = watchRoutes({
      kinds: ['route'],
      onEvent: () => this.#raiseSoon(),
      onOverflow: () => this.#raiseSoon(),
    });
    this.#hooks = new Hooks(options.bpf, this.#network.interfaces, this.#hookPrograms());
    this.#wereInForce = this.#hooks.wereInForce();
    this.#gate = new Gate(options.interfacePrefix, (reason) => this.#strangersChange(reason));
    const map = (name: string) => this.#datapath.map(name);
    this.#policies = new PolicyPrograms(
      { packet: map('packet'), programs: map('programs'), sets: map('sets'), nets: map('nets') },
      this.#ipSets,
    );
    this.#wishes = {
      workloads: new EndpointPolicies(this.#policies),
      hosts: new EndpointPolicies(this.#policies),
    };
    this.#earlyDrops = new EarlyDrops(
      {
        packet: map('packet'),
        sets: map('sets'),
        nets: map('nets'),
        untracked: map('untracked'),
        untracked_by_link: map('untracked_by_link'),
      },
      this.#ipSets,
      this.#datapath.program('untracked', 'xdp_untracked'),
      options.bpf,
    );
    this.#connect =
      options.cgroup === undefined
        ? null
        : new ConnectHooks(options.bpf, options.cgroup, (name) => this.#datapath.program('balancer', name));
    this.#routes = new Routes(map('routes'));
    this.#services = new Services({
      frontends: map('frontends'),
      backends: map('backends'),
      members: map('members'),
      sources: map('sources'),
    });
    this.#settings = new Settings(map('settings'));
    this.#links = reconciled(map('links'), 'eBPF link rows');
    this.#nodeLinks = new NodeLinks(
      this.#network.interfaces,
      options.interfacePrefix,
      this.#wishes,
      this.#links,
    );
    this.#audits = this.#listAudits();
    this.#poll = setInterval(() => this.#pollHooks(), hookPollMs).unref();
  }

  /** bpf(2), the objects and nf_tables are there: the constructor has used them. */
  async probe(): Promise<readonly string[]> {
    return [];
  }

  onMessage(message: DataplaneMessage): void {
    this.#ipSets.onMessage(message);
    this.#policies.onMessage(message);
    this.#earlyDrops.onMessage(message);
    this.#routes.onMessage(message);
    this.#network.onMessage(message);
    this.#book.onMessage(message);
    if (message.kind === 'config-update') this.#settings.setConfig(message.config);
    if (message.kind === 'endpoint-update') this.#nodeLinks.setEndpoint(message.id, message.endpoint);
    if (message.kind === 'endpoint-remove') this.#nodeLinks.setEndpoint(message.id, null);
    if (message.kind === 'host-endpoint-update') this.#setHostEndpoint(message.id, message.endpoint);
    if (message.kind === 'host-endpoint-remove') this.#setHostEndpoint(message.id, null);
  }

  #setHostEndpoint(id: KeyPath, endpoint: ResolvedHostEndpoint | null): void {
    this.#nodeLinks.setHostEndpoint(id, endpoint);
    this.#earlyDrops.setHostEndpoint(id, endpoint);
  }

  onTranslation(message: TranslationMessage): void {
    if (message.kind === 'service-update') return this.#services.set(message.id, message.service);
    if (message.kind === 'service-remove') return this.#services.set(message.id, null);
    this.#translation = message.config;
    this.#routes.setTranslation(message.config);
    this.#settings.setTranslation(message.config);
  }

  queueResync(_reason: string): void {
    this.#datapath.queueResync();
    this.#hooks.forget();
    this.#network.queueResync();
    this.#gate.queueResync();
    this.#ipSets.queueResync();
    this.#policies.queueResync();
    this.#earlyDrops.queueResync();
    this.#routes.queueResync();
    this.#services.queueResync();
    this.#settings.queueResync();
    this.#links.queueResync();
  }

  inspect(question: Inspection): Promise<InspectionAnswer> {
    return inspect(this.#inspected(), question);
  }

  /** From now on, to that one alone. */
  onFlows(listener: Parameters<ObservedDataplane['onFlows']>[0]): void {
    this.#events?.[Symbol.dispose]();
    const maps = { events: this.#datapath.map('events'), drops: this.#datapath.map('drops') };
    this.#events = new FlowEvents(maps, { names: this.#names(), onFlows: listener });
  }

  onStrangersChange(listener: (reason: string) => void): void {
    this.#listener = listener;
  }

  async apply(): Promise<ApplyReport> {
    enableForwarding();
    this.#network.hear();
    const restored = { changed: this.#datapath.apply(), failed: [] };
    const policies = this.#policies.sync();
    const refused = this.#nodeLinks.refusals();
    const closing = this.#hooks.make(closedOnes(this.#nodeLinks.hooks(refused)));
    const rows = this.#applyRows(refused, policies.changed);
    for (const [id, why] of [...this.#routes.refusals(), ...rows.unplaced]) refused.set(id, why);
    const routes = this.#network.apply();
    const gate = { changed: this.#gate.apply(), failed: [] };
    const taken = this.#takeOver();
    const opening = this.#hooks.makeAll(this.#nodeLinks.hooks(refused));
    const early = this.#earlyDrops.apply(this.#nodeLinks.claimed());
    const connect = this.#applyConnect();
    const released = { changed: this.#policies.release() + this.#forgetOtherLayouts(opening), failed: [] };
    this.#inForce = true;
    const parts = [
      restored,
      policies,
      closing,
      ...rows.parts,
      routes,
      gate,
      taken,
      opening,
      early,
      connect,
      released,
    ];
    if (this.#services.takeLostBackend()) this.sweep();
    return {
      changed: parts.reduce((sum, part) => sum + part.changed, 0),
      failed: [...parts.flatMap((part) => part.failed), ...refusals(refused), ...this.#nodeLinks.unpoliced()],
      openEndpoints: [...this.#nodeLinks.endpoints()]
        .filter(([, e]) => this.#hooks.isOpen(e.ifName))
        .map(([id]) => id),
    };
  }

  /** What another data plane let pass lives on, once: flows of a time before it say nothing any more. */
  #takeOver(): Part {
    if (this.#inForce || this.#wereInForce) return { changed: 0, failed: [] };
    const flows = this.#datapath.map('flows');
    flows.deleteMany([...flows.entries()].map(([key]) => key));
    try {
      const taken = [...takenFlows(answeredConnections(), this.#ownerOf(), process.hrtime.bigint())];
      const refused = flows.setMany(taken.map(({ key, value }) => [key, value] as const));
      const [first] = refused;
      const what = `${refused.length} of ${taken.length} found no room`;
      return {
        changed: taken.length - refused.length,
        failed: first ? [notTaken(`${what}: ${first.error.message}`)] : [],
      };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return { changed: 0, failed: [notTaken(error.message)] };
    }
  }

  #ownerOf(): OwnerOf {
    const owners = new Map<Address, Owner>();
    for (const [, addresses] of this.#network.interfaces.addresses())
      for (const address of addresses) owners.set(address, { kind: 'host' });
    for (const [id, { ifName, addresses }] of this.#nodeLinks.endpoints()) {
      const ifIndex = this.#network.interfaces.indexOf(ifName);
      const endpoint = endpointId(id);
      if (ifIndex === undefined) continue;
      for (const address of addresses) owners.set(address, { kind: 'workload', ifIndex, endpoint });
    }
    return (address) => owners.get(address) ?? null;
  }

  #forgetOtherLayouts(opening: Part): number {
    return this.#inForce || opening.failed.length > 0 ? 0 : this.#datapath.forgetOtherLayouts();
  }

  /** Takes away flows whose time is over or whose backend is gone. */
  sweep(): void {
    testRun(this.#datapath.program('sweep', 'sweep'), { packet: noFrame });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearInterval(this.#poll);
    this.#events?.[Symbol.dispose]();
    this.#routeEvents[Symbol.dispose]();
    this.#network[Symbol.dispose]();
    this.#gate[Symbol.dispose]();
    this.#hooks[Symbol.dispose]();
    this.#datapath[Symbol.dispose]();
  }

  #names(): EventNames {
    return {
      rule: (id) => this.#policies.ruleName(id),
      endpoint: (id) => this.#book.byName(id),
      endpointOf: (address) => this.#book.byAddress(address),
      endpointBehind: (ifIndex) => this.#book.byInterface(this.#linkNames.nameOf(ifIndex) ?? ''),
      frontend: (id) => frontendName(this.#services.nameOf(id)),
    };
  }

  #inspected(): Inspected {
    return {
      map: (name) => this.#datapath.map(name),
      names: this.#names(),
      endpoints: this.#book,
      linkName: (ifIndex) => this.#linkNames.nameOf(ifIndex),
      isOpen: (ifName) => this.#hooks.isOpen(parseIfName(ifName)),
      lookups: () => this.#ipSets.lookups(),
      policiesOf: (id) =>
        Object.values(this.#wishes).flatMap((wishes) => wishes.policies(id).map(({ policy }) => policy)),
      listing: (policy) => this.#policies.listing(policy),
      events: () => this.#events?.counts() ?? { told: 0, lost: 0 },
    };
  }

  /** All of which no event tells that another process changed it. */
  #listAudits(): readonly Audited[] {
    const maps = { sets: this.#datapath.map('sets'), nets: this.#datapath.map('nets') };
    const setsDiffer = this.#ipSets.audit(maps);
    const ipSets = { differs: setsDiffer, queueResync: () => this.#ipSets.queueResync() };
    return [
      ['the C programs or pins of maps', this.#datapath],
      ['the settings', this.#settings],
      ['the rows of links', this.#links],
      ['the programs of policies', this.#policies],
      ['the routes', this.#routes],
      ['the sets', ipSets],
      ['the services', this.#services],
    ];
  }

  #hookPrograms() {
    const program = (name: string) => this.#datapath.program('classifier', name);
    return {
      workload: { ingress: program('from_workload'), egress: program('to_workload') },
      network: { ingress: program('from_network'), egress: program('to_network') },
    };
  }

  /** @returns also endpoints whose link has no row, and why. */
  #applyRows(
    refused: Refusals,
    policiesChanged: number,
  ): { readonly parts: readonly Part[]; readonly unplaced: Refusals } {
    const own = this.#nodeLinks.own();
    this.#settings.setOwn(ownAddresses(own, this.#translation.nodeAddresses));
    this.#routes.setLinks(
      this.#network.interfaces.listing(),
      own.flatMap(([, list]) => list),
    );
    this.#nodeLinks.want(refused);
    const routes = this.#routes.apply();
    const links = this.#links.apply();
    const services = this.#services.apply();
    if (routes.changed + links.changed > 0) this.#settings.newGeneration();
    if (policiesChanged + links.changed > 0) this.#settings.newJudgement();
    const { failed, unplaced } = this.#nodeLinks.inWords(links.failed);
    const settings = { changed: this.#settings.apply(), failed: [] };
    return { parts: [routes, { ...links, failed }, services, settings], unplaced };
  }

  #applyConnect(): Part {
    try {
      return { changed: this.#connect?.apply(this.#translation.connectTime) ?? 0, failed: [] };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { changed: 0, failed: [{ table: 'eBPF connect-time balancing', key: 'cgroup', message }] };
    }
  }

  #strangersChange(reason: string): void {
    this.#raiseSoon();
    this.#listener(reason);
  }

  /** Many events come together. */
  #raiseSoon(): void {
    if (this.#raising) return;
    this.#raising = true;
    setImmediate(() => {
      this.#raising = false;
      if (this.#inForce && !this.#isDisposed) this.#settings.newGeneration();
    });
  }

  #pollHooks(): void {
    if (!this.#inForce) return; // nothing is written before the first apply
    this.#polls++;
    if (this.#polls % sweepEveryPolls === 0) this.sweep();
    if (this.#polls % hardenEveryPolls === 0) {
      enableForwarding();
      this.#hooks.hardenAgain();
    }
    for (const what of this.#changedOnes()) this.#listener(`${what} were changed by someone else`);
  }

  /** They are read back at the next apply. */
  *#changedOnes(): Generator<string> {
    const hooks = this.#hooks.changed() ?? this.#connect?.changed(this.#translation.connectTime) ?? null;
    if (hooks !== null) this.#hooks.forget();
    if (hooks !== null) yield `the programs of ${hooks}`;
    for (const [what, audited] of this.#audits) {
      if (!audited.differs()) continue;
      audited.queueResync();
      yield what;
    }
  }
}

/** What it is in words, who looks after it. */
type Audited = readonly [
  what: string,
  { /** Someone else changed it, as far as a look tells. */ differs(): boolean; queueResync(): void },
];

interface Part {
  readonly changed: number;
  readonly failed: readonly ApplyFailure[];
}

/** They meet policy like any that begins. */
function notTaken(message: string): ApplyFailure {
  return { table: 'eBPF flows', key: 'connections of before', message };
}

/** The first two words of its title. */
function frontendName(title: string | undefined): FrontendName | null {
  const [service = '', type = ''] = title?.split(' ') ?? [];
  return title === undefined ? null : { service, type };
}

function refusals(refused: ReadonlyMap<KeyPath, string>): ApplyFailure[] {
  return [...refused].map(([key, message]) => ({ table: 'eBPF policies', key, message }));
}

function closedOnes(hooks: ReadonlyMap<string, HookKind>): ReadonlyMap<string, HookKind> {
  return new Map([...hooks].filter(([, kind]) => kind === 'closed'));
}

/** What others know of this node where they were told, else what its links have. */
function ownAddresses(
  own: readonly (readonly [IfName, readonly Address[]])[],
  told: readonly Address[],
): readonly Address[] {
  const all = own
    .filter(([name]) => name !== 'lo')
    .flatMap(([, list]) => list.filter((each) => !isLinkLocal(each)));
  return families.flatMap((family) => {
    const mine = all.filter((address) => familyOf(address) === family);
    return mine.find((address) => told.includes(address)) ?? mine[0] ?? [];
  });
}
