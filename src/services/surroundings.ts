// SPDX-License-Identifier: Apache-2.0
/** What is no service and yet decides how addresses are translated: nodes, pools, settings. */
import type { FlowTimeouts, TranslationConfig, TranslationPool } from '../contract/services.ts';
import { tryParseAddress } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { tryParseCidr } from '../lib/cidr.ts';
import { type PortRange, tryParsePortRange } from '../lib/ports.ts';
import { effectiveValue, type LocalWords, type Setting, settingsOf } from '../model/felix/settings.ts';
import { listAt, textAt, textMapAt } from '../model/json.ts';
import { keyPath } from '../model/kinds.ts';
import type { FelixConfigurationValue, Json, Resource, ResourceKey } from '../model/types.ts';
import { updatesOf } from '../model/updates.ts';
import type { Here } from './choice.ts';

interface NodeView {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
  readonly addresses: readonly Address[];
}

type Settings = ReadonlyMap<string, Setting>;

const zoneLabel = 'topology.kubernetes.io/zone';

export class Surroundings {
  readonly #node: string;
  readonly #local: LocalWords;
  readonly #pools = new Map<string, TranslationPool>();
  readonly #nodes = new Map<string, NodeView>();
  readonly #configurations = new Map<string, FelixConfigurationValue>();

  constructor(node: string, local: LocalWords) {
    this.#node = node;
    this.#local = local;
  }

  /** @returns whether `key` is one of these kinds at all, and what may be different then. */
  onResource(key: ResourceKey, resource: Resource | null): 'nothing' | 'config' | 'config-and-zones' {
    switch (key.kind) {
      case 'IPPool':
        put(this.#pools, keyPath(key), poolOf(key, resource));
        return 'config';
      case 'FelixConfiguration':
        put(this.#configurations, keyPath(key), configurationOf(key, resource));
        return 'config';
      case 'Node':
      case 'CalicoNode':
        return this.#onNode(keyPath(key), nodeOf(key, resource));
      default:
        return 'nothing';
    }
  }

  get here(): Here {
    return { node: this.#node, zone: this.zoneOf(this.#node) };
  }

  /** Empty: nobody says. */
  zoneOf(node: string): string {
    for (const path of pathsOf(node)) {
      const zone = this.#nodes.get(path)?.labels[zoneLabel];
      if (zone !== undefined) return zone;
    }
    return '';
  }

  config(): TranslationConfig {
    const settings = this.#settings();
    const value = (name: string) => effectiveValue(settings, name);
    return {
      pools: [...this.#pools].sort(byKey).map(([, pool]) => pool),
      nodesAreInside: value('natOutgoingExclusions') === 'IPPoolsAndHostIPs',
      nodeAddresses: [...new Set([...this.#nodes.values()].flatMap(({ addresses }) => addresses))].sort(),
      externalServices: String(value('bpfExternalServiceMode')).toLowerCase() === 'dsr' ? 'dsr' : 'tunnel',
      dsrOptOut: texts(value('bpfDSROptoutCIDRs')).flatMap((text) => tryParseCidr(text) ?? []),
      connectTime: connectTimeOf(settings),
      flowTimeouts: flowTimeoutsOf(value('bpfConntrackTimeouts')),
      natPorts: portsOf(value('bpfPSNATPorts')),
    };
  }

  /** As calc/configuration.ts reads them for data planes' own settings: of two objects for this node the first counts. */
  #settings(): Settings {
    const told = pathsOf(this.#node).flatMap((path) => this.#nodes.get(path) ?? []);
    return settingsOf({
      node: this.#node,
      labels: told[0]?.labels ?? {},
      configurations: [...this.#configurations.values()],
      local: this.#local,
    });
  }

  /** A node's status is written all the time, mostly without any news for us. */
  #onNode(path: string, node: NodeView | null): 'nothing' | 'config' | 'config-and-zones' {
    const before = this.#nodes.get(path) ?? null;
    const name = node?.name ?? before?.name ?? '';
    const zoneBefore = this.zoneOf(name);
    put(this.#nodes, path, node);
    if (JSON.stringify(before) === JSON.stringify(node)) return 'nothing';
    return this.zoneOf(name) === zoneBefore ? 'config' : 'config-and-zones';
  }
}

/** projectcalico.org/v3's comes before Kubernetes'. */
function pathsOf(node: string): readonly string[] {
  return [keyPath({ kind: 'CalicoNode', name: node }), keyPath({ kind: 'Node', name: node })];
}

function put<V>(map: Map<string, V>, path: string, value: V | null): void {
  if (value === null) map.delete(path);
  else map.set(path, value);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** A pool for load balancers alone has no workload's address. */
function poolOf(key: ResourceKey, resource: Resource | null): TranslationPool | null {
  for (const { kind, value } of updatesOf(key, resource).updates) {
    if (kind !== 'IPPool' || !value) continue;
    const uses = listAt(resource, 'spec', 'allowedUses');
    if (uses.length > 0 && uses.every((use) => use === 'LoadBalancer')) continue;
    return { cidr: value.cidr, natOutgoing: value.natOutgoing };
  }
  return null;
}

function configurationOf(key: ResourceKey, resource: Resource | null): FelixConfigurationValue | null {
  const [update] = updatesOf(key, resource).updates;
  return update?.kind === 'FelixConfiguration' ? update.value : null;
}

/** Every address by which it is known; the graph's own NodeValue has but one of each family. */
function nodeOf(key: ResourceKey, resource: Resource | null): NodeView | null {
  const [update] = updatesOf(key, resource).updates;
  if (resource === null || update?.kind !== 'Node' || !update.value) return null;
  const { name, labels } = update.value;
  const found = addressTexts(resource).flatMap((text) => tryParseAddress(text.replace(/\/.*$/, '')) ?? []);
  return { name, labels, addresses: [...new Set(found)].sort() };
}

/** Of both kinds of node; Calico's own have the length of the subnet behind them. */
function addressTexts(resource: Resource): readonly string[] {
  const annotations = textMapAt(resource, 'metadata', 'annotations');
  return [
    ...['IPv4Address', 'IPv6Address'].map((name) => annotations.get(`projectcalico.org/${name}`) ?? ''),
    ...['ipv4Address', 'ipv6Address'].map((name) => textAt(resource, 'spec', 'bgp', name)),
    ...listAt(resource, 'spec', 'addresses').map((row) => textAt(row, 'address')),
    ...listAt(resource, 'status', 'addresses')
      .filter((row) => ['InternalIP', 'ExternalIP'].includes(textAt(row, 'type')))
      .map((row) => textAt(row, 'address')),
  ];
}

/** The older parameter counts where nobody sets the newer one. */
function connectTimeOf(settings: Settings): TranslationConfig['connectTime'] {
  const older = settings.get('bpfConnectTimeLoadBalancingEnabled')?.value;
  if (!settings.has('bpfConnectTimeLoadBalancing') && typeof older === 'boolean')
    return older ? 'all' : 'off';
  const mode = effectiveValue(settings, 'bpfConnectTimeLoadBalancing');
  if (mode === 'Enabled') return 'all';
  return mode === 'Disabled' ? 'off' : 'tcp';
}

/** Felix's own: felix/docs/config-params.json, BPFConntrackTimeouts. */
const usualTimeouts: { readonly [name: string]: string } = {
  tcpSynSent: '20s',
  tcpEstablished: '1h',
  tcpFinsSeen: 'Auto',
  tcpResetSeen: '40s',
  udpTimeout: '60s',
  icmpTimeout: '5s',
  genericTimeout: '10m',
};

/** What Linux has where nobody changed it: Documentation/networking/nf_conntrack-sysctl.rst. */
const linuxSeconds: { readonly [name: string]: number } = {
  tcpSynSent: 120, // nf_conntrack_tcp_timeout_syn_sent
  tcpEstablished: 432_000, // nf_conntrack_tcp_timeout_established
  tcpFinsSeen: 120, // nf_conntrack_tcp_timeout_time_wait
  tcpResetSeen: 10, // nf_conntrack_tcp_timeout_close
  udpTimeout: 30, // nf_conntrack_udp_timeout
  icmpTimeout: 30, // nf_conntrack_icmp_timeout
  genericTimeout: 600, // nf_conntrack_generic_timeout
};

function flowTimeoutsOf(written: Json): FlowTimeouts {
  const seconds = (name: string) => {
    const text = textAt(written, name) || (usualTimeouts[name] ?? '');
    return text === 'Auto' ? (linuxSeconds[name] ?? 0) : secondsOf(text);
  };
  return {
    tcpSynSent: seconds('tcpSynSent'),
    tcpEstablished: seconds('tcpEstablished'),
    tcpFinsSeen: seconds('tcpFinsSeen'),
    tcpResetSeen: seconds('tcpResetSeen'),
    udp: seconds('udpTimeout'),
    icmp: seconds('icmpTimeout'),
    generic: seconds('genericTimeout'),
  };
}

const unitSeconds: { readonly [unit: string]: number } = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** As Go writes durations; a part of a second counts as one. */
function secondsOf(text: string): number {
  const parts = [...text.matchAll(/([0-9]*\.?[0-9]+)(us|ms|s|m|h)/g)];
  const sum = parts.reduce(
    (total, [, number, unit = 's']) => total + Number(number) * (unitSeconds[unit] ?? 0),
    0,
  );
  return Math.max(1, Math.ceil(sum));
}

const usualPorts: PortRange = { first: 20_000, last: 29_999 };

function portsOf(written: Json): PortRange {
  return tryParsePortRange(String(written)) ?? usualPorts;
}

function texts(list: Json): readonly string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}
