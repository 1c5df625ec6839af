// SPDX-License-Identifier: Apache-2.0
/**
 * Generated clusters of the shapes that Felix's benchmarks have (felix/calc/calc_graph_bench_test.go), as the syncer would
 * give them: parsed model values in which no string and no list is shared, each having come out of JSON.
 */
import type { Address, IfName, KeyPath } from '../../src/lib/brand.ts';
import { hostCidr, parseCidr } from '../../src/lib/cidr.ts';
import type {
  ModelPeer,
  ModelRule,
  NetworkSetValue,
  PolicyValue,
  Update,
  WorkloadEndpointValue,
} from '../../src/model/types.ts';

export const localNode = 'localhost';
const remoteNode = 'remotehost';
const namespaceName = 'pcns.projectcalico.org/name';

/** Felix's: 31 with two that occur twice, so 29 sets. */
const stems = [
  'FOO_BAR',
  'BIFF_BOP',
  'calico/FizzBuzz',
  'calico/BoffBip',
  'calico/Bazzle',
  'calico/Razzle',
  'calico/DoopDeeDoo',
  'calico/SOME_LABEL',
  'calico/BORED_NOW',
];
const prefixed = (prefix: string) => stems.map((stem) => prefix + stem);
const markers = [
  'FOO_BAR',
  ...stems,
  'MyMarkerLabel',
  ...prefixed('x'),
  'yxMyMarkerLabel',
  ...prefixed('yx'),
  'yxMyMarkerLabel',
];

export function markerOf(i: number): string {
  return markers[i % markers.length] ?? '';
}

/** Counts up over the whole process, as Felix's do: no two endpoints share an address. */
let nextAddress = 0x0a000001;
let labelSeed = 0;

export function freshAddress(): Address {
  const word = nextAddress++;
  return [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join('.') as Address;
}

/** Each a `has(marker)` with five rules `from has(marker)`. */
export function tagPolicies(count: number): Update[] {
  return Array.from({ length: count }, (_, i) => tagPolicy(i));
}

export function tagPolicy(i: number): Update {
  const ingress = Array.from({ length: 5 }, (_, j) =>
    rule({ source: { selector: `has(${markerOf(i + j)})` } }),
  );
  return policy(`tag-pol-${i}`, { selector: `has(${markerOf(i)})`, ingress });
}

export function namespaceProfiles(count: number): Update[] {
  return Array.from({ length: count }, (_, i) =>
    profile(`kns.namespace-${i}`, { [namespaceName]: `namespace-${i}` }),
  );
}

export function markedEndpoints(count: number, where: 'local' | 'remote', namespaces = 100): Update[] {
  const node = where === 'local' ? localNode : remoteNode;
  return Array.from({ length: count }, (_, i) => markedEndpoint(`wep-${i}`, node, i % namespaces));
}

export function markedEndpoint(name: string, node: string, namespace: number): Update {
  return endpoint(`${node}/${name}`, node, `kns.namespace-${namespace}`, markedLabels());
}

function markedLabels(): { [key: string]: string } {
  labelSeed++;
  const shared = [10, 11, 20, 30, 40].map((n) => [`one-in-${n}`, `value-${labelSeed % n}`]);
  return Object.fromEntries([...shared, [markerOf(labelSeed), 'true']]);
}

const setSizes = [1, 1, 1, 1, 2, 3, 4, 5, 100, 1000];

/** One network set and one `all()` policy with a rule for it, in turns. */
export function networkSetsWithPolicies(count: number): Update[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `network-set-${i}`;
    const nets = Array.from({ length: setSizes[i % setSizes.length] ?? 0 }, () => hostCidr(freshAddress()));
    const value: NetworkSetValue = { nets, labels: { 'network-set-name': name }, profiles: [] };
    return [
      { kind: 'NetworkSet' as const, path: `GlobalNetworkSet/${name}` as KeyPath, value: asParsed(value) },
      policy(`network-set-pol-${i}`, {
        selector: 'all()',
        ingress: [rule({ source: { selector: `network-set-name == "${name}"` } })],
      }),
    ];
  }).flat();
}

/** Of one tenant: may talk within its namespace, and to the cluster's name server. */
export function tenantPolicies(count: number): Update[] {
  return Array.from({ length: count }, (_, i) => {
    const selector = `${namespaceName} == "customer-${i}"`;
    const dns = { nets: [parseCidr('10.96.0.10/32')], ports: [{ first: 53, last: 53 }] };
    return policy(`isolation`, {
      namespace: `customer-${i}`,
      selector,
      types: { ingress: true, egress: true },
      ingress: [rule({ source: { selector } })],
      egress: [rule({ destination: { selector } }), rule({ protocol: 17, destination: dns })],
    });
  });
}

export function tenantProfiles(count: number): Update[] {
  return Array.from({ length: count }, (_, i) =>
    profile(`kns.customer-${i}`, {
      [namespaceName]: `customer-${i}`,
      'namespace-id': digits(i, 20),
      production: String(i % 2 === 0),
    }),
  );
}

/** One pod for each tenant, of which `locals` at even distances are on this node. */
export function tenantEndpoints(count: number, locals: number): { local: Update[]; remote: Update[] } {
  const stride = Math.floor(count / locals);
  const [local, remote]: [Update[], Update[]] = [[], []];
  for (let i = 0; i < count; i++) {
    const isLocal = local.length < locals && i % stride === 0;
    const name = `customer-${i}/app-${(i * 7 + 3).toString(16).padStart(9, '0')}`;
    const node = isLocal ? localNode : remoteNode;
    (isLocal ? local : remote).push(endpoint(name, node, `kns.customer-${i}`, tenantLabels(i)));
  }
  return { local, remote };
}

/** 15: five of this pod alone, four of two values, four of a few, one that all share, one of 5,000 values. */
function tenantLabels(i: number): { [key: string]: string } {
  const of = (...values: readonly string[]) => values[i % values.length] ?? '';
  return {
    'pod-id': digits(i * 5, 20),
    'instance-id': digits(i * 5 + 1, 20),
    'short-id': digits(i * 5 + 2, 10),
    'config-hash': digits(i * 5 + 3, 20),
    'version-tag': digits(i * 5 + 4, 8),
    enabled: String(i & 1),
    debug: String((i >> 1) & 1),
    canary: String((i >> 2) & 1),
    managed: String((i >> 3) & 1),
    environment: of('dev', 'staging', 'prod'),
    tier: of('frontend', 'backend', 'middleware', 'data'),
    region: of('us-east', 'us-west', 'eu-west', 'ap-south'),
    team: of('platform', 'payments', 'identity', 'growth', 'infra'),
    'managed-by': 'saas-controller',
    'tenant-id': digits(i % 5000, 10),
  };
}

/** Hex digits that depend on `seed` alone: a linear congruential generator, Knuth's multiplier of 64 bits. */
function digits(seed: number, length: number): string {
  let state = BigInt(seed) * 2654435761n + 1n;
  let text = '';
  for (let i = 0; i < length; i++) {
    text += (state & 15n).toString(16);
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n) >> 1n;
  }
  return text;
}

export function policy(name: string, fields: Partial<PolicyValue>): Update {
  const { namespace } = fields;
  const kind = namespace === undefined ? 'GlobalNetworkPolicy' : 'NetworkPolicy';
  const value: PolicyValue = {
    kind,
    name,
    tier: 'default',
    order: 0,
    selector: 'all()',
    types: { ingress: true, egress: false },
    ingress: [],
    egress: [],
    hostTraffic: 'normal',
    onEveryNode: false,
    ...fields,
  };
  const path = (namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`) as KeyPath;
  return { kind: 'Policy', path, value: { ...asParsed(value), order: Number.POSITIVE_INFINITY } };
}

type RuleText = Omit<Partial<ModelRule>, 'source' | 'destination'> & {
  readonly source?: Partial<ModelPeer>;
  readonly destination?: Partial<ModelPeer>;
};

export function rule({ source = {}, destination = {}, ...match }: RuleText): ModelRule {
  return {
    action: 'allow',
    ...match,
    source: { ...anyone, ...source },
    destination: { ...anyone, ...destination },
  };
}

const anyone: ModelPeer = {
  nets: [],
  notNets: [],
  ports: [],
  namedPorts: [],
  notPorts: [],
  notNamedPorts: [],
};

export function profile(
  name: string,
  labels: { readonly [key: string]: string },
  ingress: readonly ModelRule[] = [],
): Update {
  const value = asParsed({ name, labels, ingress, egress: [] });
  return { kind: 'Profile', path: `Profile/${name}` as KeyPath, value };
}

export function endpoint(
  name: string,
  node: string,
  profileName: string,
  labels: { readonly [key: string]: string },
): Update {
  const value: WorkloadEndpointValue = {
    name,
    node,
    ifName: `cali${(nextAddress >>> 0).toString(16).padStart(11, '0')}` as IfName,
    addresses: [freshAddress()],
    labels,
    profiles: [profileName],
    ports: [],
    adminUp: true,
  };
  return { kind: 'WorkloadEndpoint', path: `WorkloadEndpoint/${name}` as KeyPath, value: asParsed(value) };
}

export function nodeUpdate(name: string, address: string): Update {
  const value = { name, labels: {}, addresses: [address as Address] };
  return { kind: 'Node', path: `Node/${name}` as KeyPath, value: asParsed(value) };
}

export function asParsed<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
