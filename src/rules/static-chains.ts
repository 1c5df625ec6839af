// SPDX-License-Identifier: Apache-2.0
/**
 * The chains that every node has whatever its policies: where packets enter, which endpoint's policy they meet, and
 * what allowed means.
 *
 *     forward -> established: mark, accept
 *             -> from a workload (by interface) -> its egress policy -> x-allowed
 *             -> to a workload (by interface) -> its ingress policy -> x-accept
 *             -> an interface with the workloads' prefix that is nobody's: drop
 *     input   -> from a workload: the same egress policy, then what the node allows its workloads
 *     output  -> the node reaches its own workloads always (kubelet's probes depend on it)
 *
 * Host endpoints add chains of their own around these: host-chains.ts.
 *
 * @see Calico documentation, "Protect hosts": defaultEndpointToHostAction, host to local workload
 */
import type { DataplaneConfig } from '../contract/dataplane.ts';
import type { Family } from '../lib/address.ts';
import { protocolNumbers } from '../lib/protocol.ts';
import { type Action, type Chain, type ChainRule, type Match, rule, type Step } from './chain.ts';
import { allowedChain } from './policy-chains.ts';

export interface StaticOptions {
  /** The first letters of every workload's interface on the host. */
  readonly interfacePrefix: string;
  readonly config: DataplaneConfig;
  /** Whether host endpoints are policed: their policies may then lead to the same ends as workloads'. */
  readonly hasHosts: boolean;
}

export type Hook = 'forward' | 'input' | 'output';

/** Verdict maps by interface name, filled with one element per endpoint. */
export const dispatchMaps = { from: 'd-from', to: 'd-to' } as const;

export const hookChains: { readonly [H in Hook]: string } = {
  forward: 'b-forward',
  input: 'b-input',
  output: 'b-output',
};

/** IPv4 encapsulated in IP, RFC 2003. */
const ipipProtocol = 4;

/** Neighbour and router discovery and listener messages, without which IPv6 does not work: RFC 4861 section 4, RFC 2710, RFC 3810. */
const alwaysAllowedIcmp6 = [130, 131, 132, 133, 134, 135, 136, 143] as const;

/** @param hostInput - what packets for the host itself meet that come from no workload. */
export function staticChains(
  family: Family,
  options: StaticOptions,
  hostInput: readonly Step[],
): readonly Chain[] {
  const unknown = (side: 'src' | 'dst') =>
    rule(
      [{ kind: 'interface-prefix', side, prefix: options.interfacePrefix }],
      { kind: 'drop' },
      'unknown workload',
    );
  const from: Step = rule([], { kind: 'dispatch', side: 'src', map: dispatchMaps.from });
  const to: Step = rule([], { kind: 'dispatch', side: 'dst', map: dispatchMaps.to });
  return [
    {
      name: hookChains.forward,
      steps: [
        established(),
        ...(options.hasHosts ? [leaveHost] : []),
        from,
        unknown('src'),
        to,
        unknown('dst'),
      ],
    },
    {
      name: hookChains.input,
      steps: [
        established(),
        ...routerAdvertisement(family, options),
        ...neighbourDiscovery(family, fromWorkload(options)),
        toHost(options),
        from,
        unknown('src'),
        ...hostInput,
      ],
    },
    {
      name: hookChains.output,
      steps: [setAccepted([{ kind: 'interface-prefix', side: 'dst', prefix: options.interfacePrefix }])],
    },
    { name: 'x-established', steps: [setAccepted([]), rule([], { kind: 'accept' })] },
    {
      name: allowedChain.ingress,
      steps: [setAccepted([]), rule([], { kind: 'accept' })],
    },
    {
      name: allowedChain.egress,
      steps: [ifToHost(), to, unknown('dst'), rule([], { kind: 'accept' })],
    },
    ...neighbourChains(family),
    { name: 'x-to-host', steps: [hostVerdict(options.config.endpointToHost)] },
  ];
}

/** What stands before an endpoint's policy; `first` is the start of its list. */
export function endpointSteps(
  direction: 'ingress' | 'egress',
  first: string,
  adminUp: boolean,
  config: DataplaneConfig,
): readonly Step[] {
  if (!adminUp) return [rule([], { kind: 'drop' }, 'endpoint is down')];
  const tunnels = direction === 'egress' ? encapsulated(config) : [];
  return [...dropInvalid(config), ...tunnels, rule([], { kind: 'goto', chain: first })];
}

export function dropInvalid(config: DataplaneConfig): readonly ChainRule[] {
  const match: Match[] = [{ kind: 'connection', state: 'invalid' }];
  return config.dropInvalid ? [rule(match, { kind: 'drop' }, 'invalid connection')] : [];
}

/** Host policy stands before in the hook and shares workloads' ends: that it allowed says nothing for a workload. */
const leaveHost: ChainRule = rule([], { kind: 'clear-mark', mark: 'accepted' });

function established(): ChainRule {
  return rule([{ kind: 'connection', state: 'established' }], { kind: 'goto', chain: 'x-established' });
}

/** A workload must not forge the fabric's own packets. */
function encapsulated({ vxlanPort, vxlanFromWorkloads, ipipFromWorkloads }: DataplaneConfig): ChainRule[] {
  const vxlan: Match[] = [
    { kind: 'protocol', protocol: protocolNumbers.UDP },
    { kind: 'ports', side: 'dst', ports: [{ first: vxlanPort, last: vxlanPort }] },
  ];
  const ipip: Match[] = [{ kind: 'protocol', protocol: ipipProtocol }];
  return [
    ...(vxlanFromWorkloads ? [] : [rule(vxlan, { kind: 'drop' }, 'VXLAN from a workload')]),
    ...(ipipFromWorkloads ? [] : [rule(ipip, { kind: 'drop' }, 'IPIP from a workload')]),
  ];
}

const neighbourChain = 'x-neighbour';

/** Of packets that end or start at the node; routers never pass them on. @param where - which packets; empty: all. */
export function neighbourDiscovery(family: Family, where: readonly Match[]): readonly ChainRule[] {
  if (family === 4) return [];
  const match: Match[] = [...where, { kind: 'protocol', protocol: protocolNumbers.ICMPv6 }];
  return [rule(match, { kind: 'jump', chain: neighbourChain })];
}

/** A workload's link lets none through either; the policy must not depend on that: a node that believed one is led astray. */
function routerAdvertisement(family: Family, options: StaticOptions): readonly ChainRule[] {
  if (family === 4) return [];
  const protocol: Match = { kind: 'protocol', protocol: protocolNumbers.ICMPv6 };
  const match: Match[] = [...fromWorkload(options), protocol, { kind: 'icmp-type', type: 134 }];
  return [rule(match, { kind: 'drop' }, 'router advertisement from a workload')];
}

/** What `neighbourDiscovery` leads to. */
export function neighbourChains(family: Family): readonly Chain[] {
  if (family === 4) return [];
  const steps = alwaysAllowedIcmp6.map((type) =>
    rule([{ kind: 'icmp-type', type }], { kind: 'accept' }, 'neighbour discovery'),
  );
  return [{ name: neighbourChain, steps }];
}

function fromWorkload(options: StaticOptions): readonly Match[] {
  return [{ kind: 'interface-prefix', side: 'src', prefix: options.interfacePrefix }];
}

/** Input meets the same egress chains as forward; the mark tells `x-allowed` which way the packet goes on. */
function toHost(options: StaticOptions): ChainRule {
  return rule(fromWorkload(options), { kind: 'set-mark', mark: 'to-host' });
}

function ifToHost(): ChainRule {
  return rule([{ kind: 'mark', mark: 'to-host' }], { kind: 'goto', chain: 'x-to-host' });
}

function setAccepted(match: readonly Match[]): ChainRule {
  return rule(match, { kind: 'set-mark', mark: 'accepted' });
}

/** Return: other tables' rules decide, as the base chains' policy is accept. */
function hostVerdict(verdict: DataplaneConfig['endpointToHost']): ChainRule {
  const action: Action = { kind: verdict === 'drop' ? 'drop' : 'accept' };
  return rule([], action, `workload to host: ${verdict}`);
}
