// SPDX-License-Identifier: Apache-2.0
/** Why programs drop packets: enum reason of bpf/types.h, in a word and in a sentence for whoever wonders. */
import type { DropReason } from '../../contract/flow.ts';

export interface Reason {
  readonly word: DropReason;
  /** What it means, and what to do about it. */
  readonly advice: string;
}

const because = (word: DropReason, advice: string): Reason => ({ word, advice });

/** By number. */
export const reasons: ReadonlyMap<number, Reason> = new Map([
  [1, because('policy', 'policy denies it: the flow names the rule; see muslin explain')],
  [
    2,
    because(
      'no-policy',
      "the endpoint's policy is not loaded, so it is closed: see muslin status for the failure",
    ),
  ],
  [3, because('malformed', 'a header is cut short or says what cannot be: look at the sender')],
  [
    4,
    because(
      'spoofed',
      "a workload sent from an address that is not its own: look at the workload's addresses",
    ),
  ],
  [5, because('not-ip', 'workloads may send IPv4, IPv6 and ARP for their own address alone')],
  [
    6,
    because(
      'invalid',
      'it belongs to no flow and cannot begin one: an answer that came too late, or half of a path that differs by direction',
    ),
  ],
  [
    7,
    because(
      'table-full',
      'there is no room for another flow: look for a flood, or ask for more (bpfMapSizeConntrack)',
    ),
  ],
  [8, because('no-port', 'all source ports for translation are taken: widen bpfPSNATPorts')],
  [
    9,
    because(
      'no-backend',
      'the service has no backend for this client: look at its pods and traffic policies',
    ),
  ],
  [10, because('source-range', "the client is not in the service's loadBalancerSourceRanges")],
  [
    11,
    because(
      'fragment',
      'its first part was not seen, so its ports are not known: look for loss, or a smaller MTU on the way',
    ),
  ],
  [
    12,
    because(
      'unjudged',
      'it came to a workload past all policy: another program or firewall on this host sent it there',
    ),
  ],
  [13, because('unknown-link', 'it came by a link that is not programmed yet')],
  [
    14,
    because(
      'to-host',
      "workloads may not reach their node: defaultEndpointToHostAction, or a service's address",
    ),
  ],
  [
    15,
    because(
      'tunnel',
      'a workload may not send tunnel packets, or another node cannot be reached by the tunnel',
    ),
  ],
  [16, because('too-big', 'it does not fit into the tunnel or the next link; its sender was told what does')],
  [17, because('rewrite', 'the kernel refused to change the packet: please report it')],
  [18, because('router-message', 'workloads may not speak as routers (RFC 6105)')],
  [19, because('unknown-workload', "its destination is a workload's address that no workload has now")],
  [20, because('stale', 'the workload that the flow belonged to is gone')],
  [21, because('rejected', 'the service has no backends; the client was told so')],
  [
    22,
    because('hop-limit', 'it has passed too many routers, or was sent to count them; its sender was told'),
  ],
]);

/** For a number that is not among them: programs of another build are at the links. */
export const unknownReason: Reason = {
  word: 'unknown',
  advice: 'the programs at the links are of another build: restart the agent',
};

export function reasonOf(number: number): Reason {
  return reasons.get(number) ?? unknownReason;
}
