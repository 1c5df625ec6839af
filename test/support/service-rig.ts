// SPDX-License-Identifier: Apache-2.0
/**
 * Three nodes on one switch, a router, and a client beyond it: what services need to be seen at work. Every node runs a driver of its
 * own, told by graphs of its own what is stored. All of it are network namespaces without names, in one process.
 *
 *     a, a2 --- n1 ---+
 *     b, b2 --- n2 ---+--- router --- out
 *               n3 ---+
 *
 * The router knows the way to the nodes and to services' addresses (by one node), not to Pods: what comes from a Pod or goes
 * to one as such over the wire between nodes does so from node to node.
 *
 * A question is `FROM > TO:PORT tcp|udp`, an outcome `b sees a`, or `refused`, `silent`, `unreachable`. A name stands for the
 * address of the family that is asked.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildGraph, type CalcGraph } from '../../src/calc/graph.ts';
import type { ApplyReport, DataplaneDriver, DataplaneMessage } from '../../src/contract/dataplane.ts';
import type { InspectableDataplane } from '../../src/contract/inspect.ts';
import type { TranslatingDataplane, TranslationMessage } from '../../src/contract/services.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { cgroupRoot, ensureCgroup, removeCgroup } from '../../src/kernel/cgroup.ts';
import { Guard } from '../../src/kernel/guard.ts';
import { enableForwarding } from '../../src/kernel/harden.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { macBytes } from '../../src/kernel/rtnetlink/mac.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { writeSysctl } from '../../src/kernel/sysctl.ts';
import { createWorkloadLink, hostMac } from '../../src/kernel/workload-link.ts';
import { type Family, familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { parseCidr } from '../../src/lib/cidr.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf, keyPath } from '../../src/model/kinds.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import type { Resource } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { ServiceGraph } from '../../src/services/graph.ts';
import { ethernet, etherType } from './frames.ts';
import { calico, core } from './oracle-cluster.ts';
import { PacketSocket } from './packet-socket.ts';
import { askAll, type Outcome, type Question, type Seat } from './service-ask.ts';
import { Echo } from './service-echo.ts';

export const nodeNames = ['n1', 'n2', 'n3'] as const;
export type NodeName = (typeof nodeNames)[number];
type Pair = readonly [four: Address, six: Address];

export interface ServiceDriverOptions {
  readonly interfacePrefix: string;
  readonly bpf: string;
  readonly cgroup: string;
}

export type ServiceDriver = DataplaneDriver & TranslatingDataplane & InspectableDataplane;
export type OpenDriver = (options: ServiceDriverOptions) => ServiceDriver;

export interface Outcomes {
  readonly [question: string]: string;
}

const families = [4, 6] as const;
export const podNodes: { readonly [pod: string]: NodeName } = { a: 'n1', a2: 'n1', b: 'n2', b2: 'n2' };
/** What Pods listen on; hosts and the client outside do as well. */
export const echoPort = 8080;
const loopbackIndex = 1;
const staticRoute = 4;

const addresses: { readonly [name: string]: Pair } = {
  n1: pair('10.10.0.1', 'fd10::1'),
  n2: pair('10.10.0.2', 'fd10::2'),
  n3: pair('10.10.0.3', 'fd10::3'),
  router: pair('10.10.0.254', 'fd10::fe'),
  edge: pair('192.0.2.1', '2001:db8::1'),
  out: pair('192.0.2.10', '2001:db8::10'),
  a: pair('10.65.1.1', 'fd65:1::1'),
  a2: pair('10.65.1.2', 'fd65:1::2'),
  b: pair('10.65.2.1', 'fd65:2::1'),
  b2: pair('10.65.2.2', 'fd65:2::2'),
};
/** Where services have their addresses; the router leads there by one node. */
const serviceNets = [
  '10.96.0.0/16',
  '203.0.113.0/24',
  '198.51.100.0/24',
  'fd96::/64',
  'fd20::/64',
  'fd19::/64',
];

/** `cluster1`, `external1`, `balancer1` and so on: services' addresses for tests to give away. */
export function serviceAddress(kind: 'cluster' | 'external' | 'balancer', number: number): Pair {
  const [four, six] = {
    cluster: ['10.96.0', 'fd96:'],
    external: ['203.0.113', 'fd20:'],
    balancer: ['198.51.100', 'fd19:'],
  }[kind] as [string, string];
  return pair(`${four}.${number}`, `${six}:${number.toString(16)}`);
}

export class ServiceNode {
  readonly name: NodeName;
  readonly netns: NetNs = NetNs.anonymous();
  readonly rt: Rtnetlink = this.netns.run(() => Rtnetlink.open());
  readonly options: ServiceDriverOptions;
  readonly #open: OpenDriver;
  readonly #graph: CalcGraph;
  readonly #services: ServiceGraph;
  readonly #messages: DataplaneMessage[] = [];
  readonly #translations: TranslationMessage[] = [];
  driver: ServiceDriver;

  constructor(name: NodeName, folder: string, open: OpenDriver) {
    this.name = name;
    const cgroup = join(cgroupRoot(), `muslin-rig-${process.pid}-${name}`);
    this.options = { interfacePrefix: 'cali', bpf: join(folder, name), cgroup };
    this.#open = open;
    this.#graph = buildGraph({ node: name });
    this.#graph.onUpdates(builtinUpdates());
    this.#graph.onStatus('in-sync');
    this.#services = new ServiceGraph({ node: name });
    this.#services.onStatus('in-sync');
    this.netns.run(() => quiet());
    this.driver = this.#newDriver();
    ensureCgroup(cgroup);
  }

  tell(changes: readonly { readonly resource: Resource; readonly gone: boolean }[]): void {
    for (const { resource, gone } of changes) {
      const key = keyOf(resource);
      const { updates, faults } = updatesOf(key, gone ? null : resource);
      const wrong = faults.filter(
        ({ message }) => !/^not supported yet|with the eBPF data plane/.test(message),
      );
      assert.deepEqual(wrong, [], JSON.stringify(resource));
      this.#graph.onUpdates(updates);
      this.#services.onResources([{ key, resource: gone ? null : resource }]);
    }
    this.#graph.flush((message) => {
      this.#messages.push(message);
      this.driver.onMessage(message);
    });
    this.#services.flush((message) => {
      this.#translations.push(message);
      this.driver.onTranslation(message);
    });
  }

  /** apply does all its work before it first waits, so that it runs in the node's namespace as a whole. */
  apply(): Promise<ApplyReport> {
    const applied: Promise<ApplyReport>[] = [];
    this.netns.run(() => void applied.push(this.driver.apply(new AbortController().signal)));
    const [report] = applied;
    assert.ok(report);
    return report;
  }

  /** It agrees, and knows that it does. */
  async settle(): Promise<void> {
    assert.deepEqual(this.#services.faults(), []);
    assert.deepEqual((await this.apply()).failed, []);
    assert.equal((await this.apply()).changed, 0, `${this.name}: a second apply changes nothing`);
  }

  /** Packets that it dropped for that reason, so far. */
  async drops(reason: string): Promise<number> {
    const answer = await this.driver.inspect({ kind: 'counters', limit: 1 });
    assert.ok(answer.kind === 'counters');
    return answer.drops.find((row) => row.reason === reason)?.packets ?? 0;
  }

  /** Another driver takes over, told all from the start. */
  async restart(): Promise<ApplyReport> {
    await this.driver[Symbol.asyncDispose]();
    this.driver = this.#newDriver();
    for (const message of this.#messages) this.driver.onMessage(message);
    for (const message of this.#translations) this.driver.onTranslation(message);
    return this.apply();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    this.rt.close();
    this.netns.close();
    removeCgroup(this.options.cgroup);
  }

  #newDriver(): ServiceDriver {
    return this.netns.run(() => this.#open(this.options));
  }
}

export class ServiceFabric implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'muslin-rig-'));
  readonly #nodes = new Map<NodeName, ServiceNode>();
  readonly #netns: ReadonlyMap<string, NetNs> = new Map(
    ['router', 'out', ...Object.keys(podNodes)].map((name) => [name, NetNs.anonymous()]),
  );
  readonly #router: Rtnetlink = this.netns('router').run(() => Rtnetlink.open());
  readonly #echoes: Echo[] = [];
  readonly #names = new Map<string, Pair>(Object.entries(addresses));
  #stored = new Map<string, Resource>();

  private constructor(open: OpenDriver) {
    mountBpffs(this.#folder);
    try {
      this.#build(open);
    } catch (error) {
      this.#unmount();
      throw error;
    }
  }

  #build(open: OpenDriver): void {
    this.#buildRouter();
    for (const name of nodeNames) this.#addNode(name, open);
    for (const [pod, node] of Object.entries(podNodes)) this.#addPod(pod, this.node(node));
    this.#addOutside();
    this.leadServicesTo('n1');
  }

  static async open(open: OpenDriver): Promise<ServiceFabric> {
    const fabric = new ServiceFabric(open);
    for (const place of [...Object.keys(podNodes), ...nodeNames, 'out'])
      fabric.#echoes.push(await Echo.open(place, fabric.netns(place), echoPort));
    return fabric;
  }

  node(name: NodeName): ServiceNode {
    const node = this.#nodes.get(name);
    assert.ok(node);
    return node;
  }

  netns(place: string): NetNs {
    const netns = this.#nodes.get(place as NodeName)?.netns ?? this.#netns.get(place);
    assert.ok(netns, `no place ${place}`);
    return netns;
  }

  seat(place: string): Seat {
    const node = podNodes[place] ?? nodeNames.find((name) => name === place);
    return { netns: this.netns(place), cgroup: node ? this.node(node).options.cgroup : null };
  }

  address(name: string, family: Family): Address {
    const pair = this.#names.get(name);
    assert.ok(pair, `nobody is called ${name}`);
    return pair[family === 4 ? 0 : 1];
  }

  /** A name for questions; who had these addresses before has them no more. */
  call(name: string, pair: Pair): void {
    for (const [other, [four]] of this.#names) if (four === pair[0]) this.#names.delete(other);
    this.#names.set(name, pair);
  }

  /** Every node enforces and balances these beside its Pods, all of it, and agrees that it does. */
  async become(...resources: readonly Resource[]): Promise<void> {
    const next = new Map([...ground(), ...resources].map((each) => [keyPath(keyOf(each)) as string, each]));
    const gone = [...this.#stored].filter(([path]) => !next.has(path)).map(([, resource]) => resource);
    const news = [...next].filter(
      ([path, each]) => JSON.stringify(each) !== JSON.stringify(this.#stored.get(path)),
    );
    const changes = [
      ...gone.map((resource) => ({ resource, gone: true })),
      ...news.map(([, resource]) => ({ resource, gone: false })),
    ];
    this.#stored = next;
    for (const node of this.#nodes.values()) node.tell(changes);
    for (const node of this.#nodes.values()) await node.settle();
  }

  /** Services' addresses are reached from outside by this node. */
  leadServicesTo(node: NodeName): void {
    const index = this.#router.links.get('br0')?.index ?? 0;
    this.#route(this.#router, serviceNets, index, node);
  }

  /** The link to the client outside takes no longer packets; `edge`: toward him alone. */
  narrow(mtu: number, which: 'both' | 'edge' = 'both'): void {
    const edge = this.#router.links.get('edge');
    assert.ok(edge);
    this.#router.links.set(edge.index, { mtu });
    if (which === 'edge') return;
    const netns = this.netns('out');
    using rt = netns.run(() => Rtnetlink.open());
    rt.links.set(rt.links.get('eth0')?.index ?? 0, { mtu });
  }

  /** As a Pod's own stack would put it on its link. */
  sendFrame(pod: string, packet: Uint8Array): void {
    using link = new PacketSocket(this.netns(pod), 'eth0');
    const type = (packet[0] ?? 0) >> 4 === 4 ? etherType.ipv4 : etherType.ipv6;
    link.send(ethernet(macBytes(hostMac), link.mac, type, packet));
  }

  /** Of both families, all at once. */
  async expect(outcomes: Outcomes, only: readonly Family[] = families): Promise<void> {
    const asked = only.flatMap((family) => Object.keys(outcomes).map((text) => ({ text, family })));
    const wanted = asked.map(({ text }) => outcomes[text] ?? '');
    const silent = new Set(wanted.flatMap((text, i) => (text === 'silent' ? [i] : [])));
    const found = await askAll(
      asked.map(({ text, family }) => this.question(text, family)),
      silent,
    );
    const wrong = found.flatMap((outcome, i) => {
      const { text, family } = asked[i] ?? { text: '', family: 4 };
      const got = this.#told(outcome, text, family);
      return got === wanted[i] ? [] : [`IPv${family} ${text}: got ${got}, want ${wanted[i]}`];
    });
    assert.deepEqual(wrong, []);
  }

  question(text: string, family: Family): Question {
    const match = /^(\w+) > (\w+):(\d+) (tcp|udp)(?: from (\d+))?(?: (\d+) bytes)?( connected)?$/.exec(text);
    assert.ok(match, `${text}: want FROM > TO:PORT tcp|udp [from PORT] [N bytes] [connected]`);
    const [, from = '', to = '', port, protocol, srcPort, bytes, connected] = match;
    const any = parseAddress(family === 4 ? '0.0.0.0' : '::');
    return {
      from: this.seat(from),
      to: { address: this.address(to, family), port: Number(port) },
      protocol: protocol === 'tcp' ? 'tcp' : 'udp',
      isConnected: connected !== undefined,
      ...(srcPort === undefined ? {} : { source: { address: any, port: Number(srcPort) } }),
      ...(bytes === undefined ? {} : { bytes: Number(bytes) }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const echo of this.#echoes) await echo[Symbol.asyncDispose]();
    for (const node of this.#nodes.values()) await node[Symbol.asyncDispose]();
    this.#router.close();
    for (const netns of this.#netns.values()) netns.close();
    this.#unmount();
  }

  #unmount(): void {
    sys.umount(this.#folder, MNT_DETACH);
    rmSync(this.#folder, { recursive: true });
  }

  /** An answer from another address than was asked is told with it. */
  #told(outcome: Outcome, text: string, family: Family): string {
    if (outcome.kind !== 'answer') return outcome.kind;
    const { to } = this.question(text, family);
    const { address, port } = outcome.peer;
    const isAsked = address === to.address && port === to.port;
    return `${outcome.by} sees ${this.#nameOf(outcome.sees.address)}${isAsked ? '' : ` from ${this.#nameOf(address)}:${port}`}`;
  }

  #nameOf(address: Address): string {
    return [...this.#names].find(([, pair]) => pair.includes(address))?.[0] ?? address;
  }

  #buildRouter(): void {
    this.netns('router').run(() => {
      quiet();
      enableForwarding();
      for (const scope of ['all', 'default'])
        writeSysctl(['net', 'ipv4', 'conf', scope, 'send_redirects'], 0);
    });
    const bridge = this.#router.links.createBridge({ name: 'br0' });
    const toOut = this.#router.links.createVeth({ name: 'edge' }, { name: 'eth0', netns: this.netns('out') });
    for (const [index, name] of [
      [bridge.index, 'router'],
      [toOut.index, 'edge'],
    ] as const) {
      for (const family of families) this.#dress(this.#router, index, this.address(name, family));
      this.#router.links.set(index, { up: true });
    }
  }

  #addNode(name: NodeName, open: OpenDriver): void {
    const node = new ServiceNode(name, this.#folder, open);
    this.#nodes.set(name, node);
    const bridge = this.#router.links.get('br0')?.index ?? 0;
    const port = this.#router.links.createVeth({ name }, { name: 'eth0', netns: node.netns });
    this.#router.links.set(port.index, { master: bridge, up: true });
    this.#dressHost(node.rt, name, 'router');
  }

  #addOutside(): void {
    const netns = this.netns('out');
    using rt = netns.run(() => {
      quiet();
      return Rtnetlink.open();
    });
    this.#dressHost(rt, 'out', 'edge');
  }

  #dressHost(rt: Rtnetlink, name: string, gateway: string): void {
    const index = rt.links.get('eth0')?.index ?? 0;
    rt.links.set(loopbackIndex, { up: true });
    for (const family of families) this.#dress(rt, index, this.address(name, family));
    rt.links.set(index, { up: true });
    this.#route(rt, ['0.0.0.0/0', '::/0'], index, gateway);
  }

  #dress(rt: Rtnetlink, index: number, address: Address): void {
    rt.addresses.replace({ index, address, prefixLength: familyOf(address) === 4 ? 24 : 64, noDad: true });
  }

  #route(rt: Rtnetlink, nets: readonly string[], oif: number, gateway: string): void {
    const routes = nets.map(parseCidr).map((dst) => ({
      dst,
      oif,
      protocol: staticRoute,
      gateway: this.address(gateway, familyOf(dst)),
    }));
    assert.deepEqual(rt.routes.replace(routes), []);
  }

  #addPod(name: string, node: ServiceNode): void {
    const netns = this.netns(name);
    const own = this.#names.get(name) ?? [];
    const ifName = workloadInterfaceName('red', name);
    const guard = new Guard(node.options.bpf);
    node.netns.run(() => createWorkloadLink(node.rt, guard, { ifName, netns, addresses: own }));
  }
}

/** What every case stands on: nodes, pools, Pods whom no policy stops. */
function ground(): readonly Resource[] {
  return [
    core('Namespace', 'red', {}),
    ...nodeNames.map((name) => ({
      ...core('Node', name, {}),
      status: { addresses: addresses[name]?.map((address) => ({ type: 'InternalIP', address })) ?? [] },
    })),
    ...['10.65.0.0/16', 'fd65::/16'].map((cidr, i) =>
      calico('IPPool', `pool${i}`, { cidr, natOutgoing: false }),
    ),
    ...Object.entries(podNodes).map(([name, nodeName]) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'red', labels: { app: name } },
      spec: { nodeName, serviceAccountName: 'default' },
      status: { phase: 'Running', podIPs: (addresses[name] ?? []).map((ip) => ({ ip })) },
    })),
  ];
}

/** Addresses are there at once, and nobody else's are taken. */
function quiet(): void {
  for (const scope of ['all', 'default'])
    for (const name of ['accept_dad', 'accept_ra', 'router_solicitations'])
      writeSysctl(['net', 'ipv6', 'conf', scope, name], 0);
}

function pair(four: string, six: string): Pair {
  return [parseAddress(four), parseAddress(six)];
}
