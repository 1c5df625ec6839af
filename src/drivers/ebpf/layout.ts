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

export const packetBytes = 376;
export const maximumStages = 8;
export const maximumLogs = 4;

export const packetFlags = { hostAcceptedIn: 1, hostAcceptedOut: 2, untracked: 4 } as const;

/** Indices of the map `programs` below `firstPolicy` belong to bpf/. */
export const programIndex = { drop: 1, admit: 2, firstPolicy: 32 } as const;

export const setKeyBytes = 32;
export const netKeyBytes = 28;
