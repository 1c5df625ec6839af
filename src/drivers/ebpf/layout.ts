// SPDX-License-Identifier: Apache-2.0
/** Offsets and numbers of bpf/types.h that TypeScript writes or reads; test/kernel/ebpf-layout.test.ts compares them. */

/** struct packet: what policy programs read and write. */
export const packetAt = {
  /** As it goes on, after translation. */
  src: 0,
  dst: 16,
  srcPort: 32,
  dstPort: 34,
  protocol: 36,
  /** As it came: what policies before NAT judge. */
  arrivedDst: 56,
  arrivedDstPort: 74,
  family: 80,
  icmpType: 81,
  icmpCode: 82,
  flags: 84,
  next: 88,
  resume: 92,
  scratch: 96,
  logCount: 100,
  stages: 104,
  rules: 136,
  logs: 200,
} as const;

export const packetBytes = 392;
export const maximumStages = 8;
export const maximumLogs = 4;

export const packetFlags = { hostAcceptedIn: 1, hostAcceptedOut: 2, untracked: 4 } as const;

/** Indices of the map `programs` below `firstPolicy` belong to bpf/. */
export const programIndex = {
  drop: 1,
  admit: 2,
  track: 3,
  service: 4,
  route: 5,
  reject: 6,
  error: 7,
  to_host: 8,
  resolve: 9,
  tunnel: 10,
  from_tunnel: 11,
  from_workload_new: 12,
  too_big: 13,
  expired: 14,
  firstPolicy: 32,
} as const;

export const setKeyBytes = 32;
export const netKeyBytes = 28;

/** struct set_key, the key of `sets`, and struct net_key, that of `nets`. */
export const setKeyAt = { set: 0, port: 8, protocol: 10, address: 16 } as const;
export const netKeyAt = { prefixLength: 0, set: 4, address: 12 } as const;

/** struct link, by index of the link. */
export const linkBytes = 120;
export const linkAt = { kind: 0, endpoint: 8, policy: 16, own: 80, mtu: 112 } as const;
export const linkKinds = { workload: 1, network: 2 } as const;
/** enum stage: places of `policy`. */
export const linkStages = {
  egress: 0,
  ingress: 1,
  untrackedIn: 2,
  untrackedOut: 3,
  preDnat: 4,
  forwardIn: 5,
  forwardOut: 6,
} as const;
export type LinkStage = keyof typeof linkStages;
/** Of `policy`, for each family. */
export const stagesPerFamily = 8;

/** struct route_key, struct route. */
export const routeKeyBytes = 20;
export const routeKeyAt = { prefixLength: 0, address: 4 } as const;
export const routeBytes = 32;
export const routeAt = { flags: 0, ifIndex: 4, via: 8, endpoint: 24 } as const;
export const routeFlags = {
  workload: 1,
  local: 2,
  node: 4,
  pool: 8,
  natOutgoing: 16,
  dsrOptOut: 32,
} as const;

/** struct settings. */
export const settingsBytes = 136;
export const settingsAt = {
  generation: 0,
  flags: 4,
  tunnelPort: 8,
  natPortFirst: 12,
  natPortCount: 16,
  endpointToHost: 20,
  own: 24,
  timeouts: 56,
  judgement: 120,
  host: 128,
} as const;
export const settingFlags = {
  dropInvalid: 1,
  dsr: 2,
  vxlanFromWorkloads: 4,
  ipipFromWorkloads: 8,
  nodesAreInside: 16,
  connectTcp: 32,
  connectUdp: 64,
  tellAllowed: 128,
} as const;

/** struct frontend_key, struct frontend. */
export const frontendKeyBytes = 20;
export const frontendKeyAt = { address: 0, port: 16, protocol: 18, scope: 19 } as const;
export const scopes = { inside: 0, outside: 1, tunnel: 2, ipv6: 0x80 } as const;
export const frontendBytes = 24;
export const frontendAt = { name: 0, list: 8, count: 12, flags: 16, affinity: 20 } as const;
export const frontendFlags = { reject: 1, sources: 2, maglev: 4, external: 8 } as const;

/** struct backend_key, struct backend. */
export const backendKeyBytes = 8;
export const backendBytes = 24;
export const backendAt = { address: 0, port: 16, flags: 18 } as const;

/** struct member_key, struct source_key. */
export const memberKeyBytes = 24;
export const memberKeyAt = { list: 0, port: 4, protocol: 6, address: 8 } as const;
export const sourceKeyBytes = 24;
export const sourceKeyAt = { prefixLength: 0, list: 4, address: 8 } as const;

/** struct tuple, struct flow. */
export const tupleBytes = 40;
export const tupleAt = { src: 0, dst: 16, srcPort: 32, dstPort: 34, protocol: 36 } as const;
export const flowBytes = 160;
export const flowAt = {
  seen: 0,
  created: 8,
  to: 16,
  via: 56,
  endpoint: 72,
  service: 80,
  rule: 88,
  flags: 96,
  inIfIndex: 100,
  outIfIndex: 104,
  forward: 108,
  generation: 124,
  tcpSeen: 128,
  judgement: 132,
} as const;
export const flowFlags = {
  reply: 1,
  translateSrc: 2,
  translateDst: 4,
  answered: 16,
  tunnelIn: 32,
  learnt: 64,
  dsr: 128,
  toTunnel: 256,
  byStack: 512,
} as const;
/** in_ifindex of what comes in by any link of the network. */
export const anyNetwork = 0xffff_ffff;

/** struct event. */
export const eventBytes = 280;
export const eventAt = {
  time: 0,
  arrived: 8,
  now: 48,
  endpoints: 88,
  rules: 152,
  logs: 216,
  service: 248,
  stages: 256,
  logCount: 260,
  ifIndex: 264,
  length: 268,
  family: 272,
  verdict: 273,
  reason: 274,
  hook: 275,
  icmpType: 276,
  icmpCode: 277,
} as const;

/** enum hook, enum verdict. */
export const hooks = { fromWorkload: 1, toWorkload: 2, fromNetwork: 3, toNetwork: 4 } as const;
export const verdicts = { allowed: 1, denied: 2 } as const;

/** enum forward, of `way` in struct flow. */
export const forwards = {
  unknown: 0,
  stack: 1,
  peer: 2,
  link: 3,
  neigh: 4,
  tunnel: 5,
  host: 6,
  self: 7,
} as const;
/** TCP flags as they stand in the header, of `tcp_seen`: RFC 9293 section 3.1. */
export const tcpFlags = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;
