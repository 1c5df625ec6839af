// SPDX-License-Identifier: Apache-2.0
/** Policies by chance, Calico's and Kubernetes', each valid. */
import type { Resource } from '../../src/model/types.ts';
import {
  hostSelector,
  namespaceSelector,
  netsOf,
  podSelector,
  portNames,
  portNumbers,
  portRanges,
  serviceAccountSelector,
  sourcePortRanges,
  vocabulary,
  type World,
} from './generate-pools.ts';
import type { Random } from './random.ts';

type Json = { readonly [field: string]: unknown };

type Direction = 'ingress' | 'egress';
/** Which a rule may name. */
type PortKind = 'any' | 'named' | 'none';

const orders = [1, 1, 2, 0.5, -5, 1000, 1001] as const;
const names = ['k', 'm', 'p'] as const;

export function calicoPolicyIn(world: World, i: number): Resource {
  const isGlobal = world.random.chance(0.5);
  const spec = policySpec(world, isGlobal);
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: isGlobal ? 'GlobalNetworkPolicy' : 'NetworkPolicy',
    metadata: policyMetadata(world, isGlobal, i),
    spec,
  };
}

function policySpec(world: World, isGlobal: boolean): Json {
  const { random } = world;
  return {
    ...random.maybe(0.6, () => ({
      tier: random.pick([
        'first',
        'second',
        'third',
        'default',
        'kube-admin',
        'kube-baseline',
        'ghost',
        'ghast',
      ]),
    })),
    ...random.maybe(0.7, () => ({ order: random.pick(orders) })),
    ...random.maybe(0.6, () => ({ selector: podSelector(random) })),
    ...random.maybe(0.15, () => ({ serviceAccountSelector: serviceAccountSelector(random) })),
    ...(isGlobal ? random.maybe(0.25, () => ({ namespaceSelector: namespaceSelector(random) })) : {}),
    ...random.maybe(0.4, () => ({
      types: random.pick([['Ingress'], ['Egress'], ['Ingress', 'Egress'], []]),
    })),
    ...random.maybe(0.8, () => ({ ingress: rulesIn(world, 'ingress') })),
    ...random.maybe(0.5, () => ({ egress: rulesIn(world, 'egress') })),
  };
}

/** Of any of the kinds of 2.10; pods may be selected too. */
export function hostPolicyIn(world: World, i: number): Resource {
  const { random } = world;
  const rules = (direction: Direction) => [...rulesIn(world, direction), ...lastRule(random)];
  const { tier, order } = policySpec(world, true);
  const spec = {
    ...(tier === undefined ? {} : { tier }),
    ...(order === undefined ? {} : { order }),
    ...random.maybe(0.6, () => ({ selector: hostSelector(random) })),
    ...random.maybe(0.85, () => ({ ingress: rules('ingress') })),
    ...random.maybe(0.85, () => ({ egress: rules('egress') })),
  };
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkPolicy',
    metadata: policyMetadata(world, true, i),
    spec: forHosts(random, spec),
  };
}

/** About everything, so that few packets are left to the end of the tier. */
function lastRule(random: Random): Json[] {
  return random.chance(0.4) ? [{ action: random.pick(['Allow', 'Allow', 'Deny', 'Pass']) }] : [];
}

/** Valid if the spec was: pre-DNAT policies have no egress. */
function forHosts(random: Random, spec: Json): Json {
  const { egress: _, ...ingressOnly } = spec;
  return random.pick<() => Json>([
    () => spec,
    () => ({ ...spec, applyOnForward: true }),
    () => ({ ...spec, applyOnForward: true, doNotTrack: true }),
    () => ({ ...ingressOnly, applyOnForward: true, preDNAT: true, types: ['Ingress'] }),
  ])();
}

export function profileIn(world: World, name: string): Resource {
  const { random } = world;
  const rules = () => random.times(0, 3, () => rule(world, null));
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'Profile',
    metadata: { name },
    spec: { ingress: rules(), egress: rules(), labelsToApply: { app: 'a', 'pcns.team': 'x' } },
  };
}

/** Some names are common to many policies, so that namespace and kind must break ties. */
export function policyMetadata(world: World, isGlobal: boolean, i: number): Resource['metadata'] {
  const { random } = world;
  const name = random.chance(0.5) ? random.pick(names) : `policy-${i}`;
  return isGlobal ? { name } : { name, namespace: random.pick(world.namespaces) };
}

const protocols = [
  'TCP',
  'TCP',
  'tcp',
  6,
  'UDP',
  'UDP',
  17,
  'ICMP',
  'ICMPv6',
  'SCTP',
  253,
  254,
  'UDPLite',
] as const;

function rulesIn(world: World, direction: Direction): Json[] {
  const { random, isDense } = world;
  return isDense
    ? random.times(1, 10, () => portRule(world, direction))
    : random.times(0, 4, () => rule(world, direction));
}

/** Now and then another, which is no rule about numeric ports. */
function portRule(world: World, direction: Direction): Json {
  const { random } = world;
  if (random.chance(0.1)) return rule(world, direction);
  return {
    action: random.pick(['Allow', 'Allow', 'Allow', 'Allow', 'Deny', 'Pass', 'Log']),
    protocol: random.pick(['TCP', 'UDP', 'SCTP']),
    ...random.maybe(0.3, () => ({ source: { selector: podSelector(random) } })),
    ...random.maybe(0.9, () => ({
      destination: { ports: random.some<string | number>([...portNumbers, ...portRanges], 1, 2) },
    })),
  };
}

/** @param direction - null in profiles. */
function rule(world: World, direction: Direction | null): Json {
  const { random } = world;
  const protocol = random.chance(0.55) ? random.pick(protocols) : undefined;
  const family = icmpFamily(protocol) ?? random.pick([4, 6] as const);
  const ports = protocol === undefined ? 'named' : hasPorts(protocol) ? 'any' : 'none';
  const notProtocol = random.chance(0.1) ? random.pick(['TCP', 'udp', 'SCTP', 1, 58] as const) : undefined;
  return {
    action: random.pick(['Allow', 'Allow', 'Allow', 'Deny', 'Deny', 'Pass', 'Log']),
    ...(protocol === undefined ? {} : { protocol }),
    ...(notProtocol === undefined ? {} : { notProtocol }),
    ...(isIcmp(protocol) ? icmp(world) : {}),
    ...random.maybe((icmpFamily(notProtocol) ?? family) === family ? 0.12 : 0, () => ({ ipVersion: family })),
    ...random.maybe(0.5, () => ({ source: peer(world, family, ports, 'source') })),
    ...random.maybe(0.5, () => ({ destination: peer(world, family, ports, 'destination') })),
    ...serviceOf(world, direction, ports),
  };
}

/** Takes the place of the other end: of ingress rules the source, of egress rules the destination. */
function serviceOf(world: World, direction: Direction | null, ports: PortKind): Json {
  const { random, services } = world;
  if (services.length === 0 || direction === null || random.chance(0.85)) return {};
  const { namespace, name } = random.pick(services);
  const peer = { services: { namespace, name } };
  return direction === 'egress'
    ? { destination: peer }
    : { source: { ...peer, ...portsOf(world, ports, 'source') } };
}

function hasPorts(protocol: string | number): boolean {
  return ['tcp', 'udp', 'sctp', '6', '17'].includes(String(protocol).toLowerCase());
}

/** The family that a protocol binds its rule to, asked for or excluded. */
function icmpFamily(protocol: string | number | undefined): 4 | 6 | undefined {
  return ({ ICMP: 4, 1: 4, ICMPv6: 6, 58: 6 } as const)[String(protocol)];
}

function isIcmp(protocol: string | number | undefined): boolean {
  return protocol === 'ICMP' || protocol === 'ICMPv6';
}

function icmp({ random }: World): Json {
  const types = [8, 13, 128, 139] as const;
  const match = () => ({
    type: random.pick(types),
    ...random.maybe(0.4, () => ({ code: random.pick([0, 1]) })),
  });
  return {
    ...random.maybe(0.5, () => ({ icmp: match() })),
    ...random.maybe(0.25, () => ({ notICMP: match() })),
  };
}

function peer(world: World, family: 4 | 6, ports: PortKind, side: 'source' | 'destination'): Json {
  const { random } = world;
  return {
    ...random.maybe(0.25, () => ({ nets: netsOf(world, family, 3, true) })),
    ...random.maybe(0.15, () => ({ notNets: netsOf(world, family, 2, false) })),
    ...random.maybe(0.3, () => ({ selector: podSelector(random) })),
    ...random.maybe(0.15, () => ({ notSelector: podSelector(random) })),
    ...random.maybe(0.2, () => ({ namespaceSelector: ruleNamespaceSelector(world) })),
    ...random.maybe(0.1, () => ({ serviceAccounts: serviceAccounts(world) })),
    ...portsOf(world, ports, side),
  };
}

function ruleNamespaceSelector({ random }: World): string {
  return random.chance(0.4) ? random.pick(['all()', 'global()']) : namespaceSelector(random);
}

function serviceAccounts({ random, serviceAccounts: names }: World): Json {
  const byName = { names: random.some(names, 1, 2) };
  const bySelector = { selector: serviceAccountSelector(random) };
  return random.pick([byName, bySelector, { ...byName, ...bySelector }]);
}

function portsOf({ random }: World, kind: PortKind, side: 'source' | 'destination'): Json {
  if (kind === 'none') return {};
  const ranges = side === 'source' ? sourcePortRanges : [...portNumbers, ...portRanges];
  const pool = kind === 'any' ? [...ranges, ...portNames] : portNames;
  const likely = kind === 'any' ? 0.45 : 0.2;
  return {
    ...random.maybe(likely, () => ({ ports: random.some<string | number>(pool, 1, 3) })),
    ...random.maybe(likely / 3, () => ({ notPorts: random.some<string | number>(pool, 1, 2) })),
  };
}

export function kubernetesPolicyIn(world: World, i: number): Resource {
  const { random } = world;
  const rules = (peers: 'from' | 'to') => random.times(0, 3, () => kubernetesRule(world, peers));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: policyMetadata(world, false, i),
    spec: {
      podSelector: labelSelector(world, vocabulary.pod),
      ...random.maybe(0.5, () => ({
        policyTypes: random.pick([['Ingress'], ['Egress'], ['Ingress', 'Egress'], []]),
      })),
      ...random.maybe(0.8, () => ({ ingress: rules('from') })),
      ...random.maybe(0.5, () => ({ egress: rules('to') })),
    },
  };
}

function kubernetesRule(world: World, peers: 'from' | 'to'): Json {
  const { random } = world;
  return {
    ...random.maybe(0.7, () => ({ [peers]: random.times(0, 3, () => kubernetesPeer(world)) })),
    ...random.maybe(0.5, () => ({ ports: random.times(0, 3, () => kubernetesPort(world)) })),
  };
}

function kubernetesPeer(world: World): Json {
  const { random } = world;
  const pods = { podSelector: labelSelector(world, vocabulary.pod) };
  const spaces = { namespaceSelector: labelSelector(world, vocabulary.namespace) };
  return random.pick([
    () => pods,
    () => spaces,
    () => ({ ...pods, ...spaces }),
    () => ({ ipBlock: ipBlock(world) }),
  ])();
}

const blocks: readonly Json[] = [
  { cidr: '10.65.0.0/24', except: ['10.65.0.2/31'] },
  { cidr: 'fd65::/64', except: ['fd65::2/127', 'fd65::6/128'] },
  { cidr: '0.0.0.0/0', except: ['10.65.0.0/29'] },
  { cidr: '::/0', except: ['2001:db8:1::/48'] },
  { cidr: '192.0.2.0/24' },
  { cidr: '2001:db8::/32' },
  { cidr: '::/0' },
];

function ipBlock({ random }: World): Json {
  return random.pick(blocks);
}

function kubernetesPort({ random }: World): Json {
  const port = random.pick([...portNumbers, ...portNames]);
  const endPort =
    typeof port === 'number' ? random.maybe(0.3, () => ({ endPort: port + random.below(400) })) : {};
  return {
    ...random.maybe(0.6, () => ({ protocol: random.pick(['TCP', 'UDP', 'SCTP']) })),
    ...random.maybe(0.85, () => ({ port, ...endPort })),
  };
}

export function labelSelector(
  { random }: World,
  labels: { readonly [key: string]: readonly string[] },
): Json {
  const keys = Object.keys(labels);
  const values = (key: string) => labels[key] ?? [];
  return {
    ...random.maybe(0.4, () => {
      const key = random.pick(keys);
      return { matchLabels: { [key]: random.pick(values(key)) } };
    }),
    ...random.maybe(0.3, () => ({
      matchExpressions: random.times(1, 2, () => requirement(random.pick(keys))),
    })),
  };
  function requirement(key: string): Json {
    const operator = random.pick(['In', 'NotIn', 'Exists', 'DoesNotExist']);
    return operator.endsWith('In')
      ? { key, operator, values: random.some(values(key), 1, 2) }
      : { key, operator };
  }
}
