// SPDX-License-Identifier: Apache-2.0
/** A small cluster to ask the oracle about, and its answers in few words. */
import { parseAddress } from '../../src/lib/address.ts';
import type { ChainLink } from '../../src/model/oracle/chain.ts';
import type { HostSettings, OracleHost } from '../../src/model/oracle/host.ts';
import { type Judgement, judge } from '../../src/model/oracle/oracle.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { Metadata, Resource } from '../../src/model/types.ts';

export type Json = { readonly [field: string]: unknown };
type Labels = { readonly [key: string]: string };

export function calico(kind: string, name: string, spec: Json, namespace?: string): Resource {
  const metadata: Metadata = namespace ? { name, namespace } : { name };
  return { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
}

export function gnp(name: string, spec: Json): Resource {
  return calico('GlobalNetworkPolicy', name, spec);
}

export function np(namespace: string, name: string, spec: Json): Resource {
  return calico('NetworkPolicy', name, spec, namespace);
}

export function knp(namespace: string, name: string, spec: Json): Resource {
  return { ...np(namespace, name, spec), apiVersion: 'networking.k8s.io/v1' };
}

export function tier(name: string, order: number, defaultAction = 'Deny'): Resource {
  return calico('Tier', name, { order, defaultAction });
}

export function core(kind: string, name: string, labels: Labels, namespace?: string): Resource {
  return { apiVersion: 'v1', kind, metadata: namespace ? { name, namespace, labels } : { name, labels } };
}

export function labelled(resource: Resource, labels: Labels): Resource {
  return { ...resource, metadata: { ...resource.metadata, labels } };
}

export function pod(namespace: string, name: string, ip: string, fields: Json = {}): Resource {
  const { labels = {}, status = {}, ...spec } = fields;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: labels as Labels },
    spec: { nodeName: 'n1', serviceAccountName: 'default', ...spec },
    status: { podIPs: [{ ip: `10.0.0.${ip}` }, { ip: `fd00::${ip}` }], ...(status as Json) },
  };
}

const podPorts = [
  { name: 'web', containerPort: 80 },
  { name: 'dns', containerPort: 53, protocol: 'UDP' },
];

/** Two namespaces; `red/a` and `red/b`, `blue/c`; each with a service account `default`. All on node n1. */
export const cluster: readonly Resource[] = [
  core('Namespace', 'red', { team: 'x' }),
  core('Namespace', 'blue', { team: 'y' }),
  core('ServiceAccount', 'default', { role: 'plain' }, 'red'),
  core('ServiceAccount', 'default', { role: 'other' }, 'blue'),
  pod('red', 'a', '1', { labels: { app: 'a' } }),
  pod('red', 'b', '2', { labels: { app: 'b' }, containers: [{ ports: podPorts }] }),
  pod('blue', 'c', '3', { labels: { app: 'c' } }),
];

/** `h` and `h1` are the host's on eth0 and eth1. */
const addresses: { readonly [name: string]: string } = {
  a: '10.0.0.1',
  b: '10.0.0.2',
  c: '10.0.0.3',
  h: '172.16.0.1',
  h1: '172.17.0.1',
  out: '192.0.2.1',
};

export interface Sent extends Pick<OraclePacket, 'in' | 'out' | 'dstPortBeforeNat' | 'tracked'> {
  readonly protocol?: number;
  readonly port?: number;
  readonly srcPort?: number;
  readonly icmp?: readonly [number, number];
  readonly toBeforeNat?: string;
}

function packetOf(from: string, to: string, sent: Sent): OraclePacket {
  const { icmp, toBeforeNat, protocol = icmp ? 1 : 6, port = 80, srcPort = 40000, ...rest } = sent;
  const addressOf = (name: string) => parseAddress(addresses[name] ?? name);
  return {
    ...rest,
    from: addressOf(from),
    to: addressOf(to),
    protocol,
    ...([6, 17, 132].includes(protocol) ? { srcPort, dstPort: port } : {}),
    ...(icmp ? { icmpType: icmp[0], icmpCode: icmp[1] } : {}),
    ...(toBeforeNat === undefined ? {} : { toBeforeNat: addressOf(toBeforeNat) }),
  };
}

/** TCP to port 80, unless said otherwise. */
export function ask(
  extra: readonly Resource[],
  from: string,
  to: string,
  sent: Sent = {},
  base: readonly Resource[] = cluster,
): Judgement {
  return judge([...base, ...extra], packetOf(from, to, sent));
}

export function allowed(
  extra: readonly Resource[],
  from: string,
  to: string,
  sent: Sent = {},
  base: readonly Resource[] = cluster,
): boolean {
  return ask(extra, from, to, sent, base).allowed;
}

export function hostWith(settings: Partial<HostSettings> = {}): OracleHost {
  return {
    node: 'n1',
    interfaces: new Map([
      ['eth0', ['172.16.0.1', 'fd16::1'].map(parseAddress)],
      ['eth1', [parseAddress('172.17.0.1')]],
    ]),
    settings: {
      endpointToHost: 'drop',
      failsafeInbound: [{ protocol: 6, port: 22 }],
      failsafeOutbound: [{ protocol: 17, port: 53 }],
      vxlanFromWorkloads: false,
      ipipFromWorkloads: false,
      vxlanPort: 4789,
      ...settings,
    },
  };
}

/** As node n1 sees it: eth0 leads to all that is neither its own nor on it. */
export function askHost(
  extra: readonly Resource[],
  from: string,
  to: string,
  sent: Sent = {},
  host: OracleHost = hostWith(),
): Judgement {
  const isHere = (name: string) => name !== 'out' && name in addresses;
  const links = { ...(isHere(from) ? {} : { in: 'eth0' }), ...(isHere(to) ? {} : { out: 'eth0' }) };
  return judge([...cluster, ...extra], packetOf(from, to, { ...links, ...sent }), host);
}

/** In words: `default/GlobalNetworkPolicy/p[0] log`, `end of default deny`. */
export function told(chain: { readonly links: readonly ChainLink[] } | null | undefined): string[] {
  return (chain?.links ?? []).map((link) => {
    if (link.at === 'rule') return `${link.tier}/${link.policy}[${link.rule}] ${link.action}`;
    if (link.at === 'end-of-tier') return `end of ${link.tier} ${link.action}`;
    if (link.at === 'profile-rule') return `${link.profile}[${link.rule}] ${link.action}`;
    return link.at === 'missing-profile' ? `${link.profile} missing` : 'end of profiles';
  });
}

/** Stage by stage: `eth0 normal ingress: deny`. */
export function toldHost({ host }: Judgement): string[] {
  return host.map(
    ({ endpoint, stage, direction, verdict, failsafe }) =>
      `${endpoint} ${stage} ${direction}: ${verdict}${failsafe ? ' by failsafe' : ''}`,
  );
}

export function hep(name: string, spec: Json, labels: Labels = { host: 'yes' }): Resource {
  return labelled(calico('HostEndpoint', name, { node: 'n1', ...spec }), labels);
}

export const allow: Json = { action: 'Allow' };
export const deny: Json = { action: 'Deny' };

/** A spec for ingress at pod `b`. */
export function toB(spec: Json): Json {
  return { selector: "app == 'b'", types: ['Ingress'], ...spec };
}
