// SPDX-License-Identifier: Apache-2.0
/**
 * What this kernel can do for eBPF, found by doing it: distributions carry features back and leave others out, so a version
 * number proves nothing. Asked once in a thread.
 */
import { KernelError } from '../../lib/errors.ts';
import { cgroupRoot, hasCgroups } from '../cgroup.ts';
import { EINVAL, ENOTSUPP } from '../sys/constants.ts';
import { hasSysctl, readSysctl } from '../sysctl.ts';
import { Assembler } from './asm.ts';
import { BPF_MAP_UPDATE_BATCH, objectInfo, tryBpf } from './call.ts';
import { supportsTcx } from './link.ts';
import { loadBtf, loadClassifier, loadGenerated, VerifierError } from './load.ts';
import { BpfMap } from './map.ts';

export type FeatureName =
  | 'btf'
  | 'map batch'
  | 'ring buffer'
  | 'bpf_fib_lookup'
  | 'bpf_redirect_neigh'
  | 'bpf_redirect_peer'
  | 'bpf_for_each_map_elem'
  | 'tcx'
  | 'jit'
  | 'jit harden'
  | 'cgroup2';

export interface Feature {
  readonly name: FeatureName;
  readonly present: boolean;
  /** Empty unless there is more to say than that it is there. */
  readonly value: string;
  readonly neededFor: string;
  /** The release that brought it. */
  readonly since: string;
  /** What happens where it is missing. */
  readonly without: string;
}

interface Probe {
  readonly neededFor: string;
  readonly since: string;
  readonly without: string;
  /** A text is the value of what is there. */
  find(): boolean | string;
}

const fatal = 'the eBPF data plane does not run';
const jitHarden = ['net', 'core', 'bpf_jit_harden']; // the first network namespace alone has it

/** Helpers by number: enum bpf_func_id, include/uapi/linux/bpf.h. */
const helpers = { fibLookup: 69, redirectNeigh: 152, redirectPeer: 155, forEachMapElem: 164 } as const;

const probes: { readonly [N in FeatureName]: Probe } = {
  btf: {
    neededFor: 'loading programs with callbacks',
    since: 'Linux 4.18',
    without: fatal,
    find: hasBtf,
  },
  'map batch': {
    neededFor: 'filling sets and services by the thousand',
    since: 'Linux 5.6',
    without: 'entries are written one by one',
    find: hasMapBatch,
  },
  'ring buffer': {
    neededFor: 'the log of flows',
    since: 'Linux 5.8',
    without: fatal,
    find: hasRingBuffer,
  },
  bpf_fib_lookup: {
    neededFor: 'forwarding without the stack',
    since: 'Linux 4.18',
    without: fatal,
    find: () => hasHelper(helpers.fibLookup),
  },
  bpf_redirect_neigh: {
    neededFor: 'forwarding to other hosts',
    since: 'Linux 5.10',
    without: fatal,
    find: () => hasHelper(helpers.redirectNeigh),
  },
  bpf_redirect_peer: {
    neededFor: 'handing packets straight into a pod',
    since: 'Linux 5.10',
    without: fatal,
    find: () => hasHelper(helpers.redirectPeer),
  },
  bpf_for_each_map_elem: {
    neededFor: 'cleaning up connections inside the kernel',
    since: 'Linux 5.13',
    without: fatal,
    find: () => hasHelper(helpers.forEachMapElem),
  },
  tcx: {
    neededFor: 'links that a stranger cannot replace',
    since: 'Linux 6.6',
    without: 'programs are attached by clsact, and looked after more often',
    find: supportsTcx,
  },
  jit: {
    neededFor: 'running programs as machine code',
    since: 'Linux 3.18',
    without: 'every packet costs several times more: set net.core.bpf_jit_enable to 1',
    find: hasJit,
  },
  'jit harden': {
    neededFor: 'knowing whether constants are blinded, which makes programs slower',
    since: 'Linux 4.7',
    without: 'it cannot be read here',
    find: () => hasSysctl(jitHarden) && readSysctl(jitHarden),
  },
  cgroup2: {
    neededFor: 'choosing a service back end when a program connects',
    since: 'Linux 4.17',
    without: 'services are translated packet by packet',
    find: () => hasCgroups() && cgroupRoot(),
  },
};

let found: readonly Feature[] | null = null;

/** All, in the order of how early they are needed. @throws {KernelError} EPERM without CAP_BPF and CAP_NET_ADMIN */
export function kernelFeatures(): readonly Feature[] {
  found ??= (Object.keys(probes) as FeatureName[]).map((name) => {
    const { find, ...probe } = probes[name];
    const answer = find();
    return { name, ...probe, present: answer !== false, value: typeof answer === 'string' ? answer : '' };
  });
  return found;
}

export function kernelFeature(name: FeatureName): Feature {
  const feature = kernelFeatures().find((candidate) => candidate.name === name);
  if (!feature) throw new TypeError(`feature ${name}`);
  return feature;
}

/** Called without arguments a helper is refused, but in other words than one that is not there. */
export function hasHelper(helper: number): boolean {
  const instructions = new Assembler().call(helper).mov('r0', 0).exit().assemble();
  try {
    loadGenerated({ name: 'probe', instructions }).close();
    return true;
  } catch (error) {
    if (!(error instanceof VerifierError) || error.log === '') throw error;
    return !/(unknown|invalid) func|cannot use helper/.test(error.log);
  }
}

/** The smallest that says something: one int. */
function hasBtf(): boolean {
  const bytes = new Uint8Array(24 + 16 + 5); // header, type, strings
  const words = [0x0001eb9f, 24, 0, 16, 16, 5, 1, 0x01000000, 4, 0x01000020];
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true);
  bytes.set(new TextEncoder().encode('\0int\0'), 40);
  return isTaken(() => loadBtf(bytes).close());
}

function hasRingBuffer(): boolean {
  const spec = {
    name: 'probe',
    type: 'RINGBUF',
    keySize: 0,
    valueSize: 0,
    maxEntries: 1 << 16,
    flags: 0,
  } as const;
  return isTaken(() => BpfMap.create(spec).close());
}

function hasMapBatch(): boolean {
  using map = BpfMap.create({
    name: 'probe',
    type: 'HASH',
    keySize: 4,
    valueSize: 4,
    maxEntries: 1,
    flags: 0,
  });
  const word = new Uint8Array(new ArrayBuffer(8));
  const { errno } = tryBpf(BPF_MAP_UPDATE_BATCH, [
    { at: 16, pointer: word },
    { at: 24, pointer: word },
    { at: 32, u32: 1 },
    { at: 36, u32: map.fd.number },
  ]);
  return errno === 0;
}

function hasJit(): boolean {
  using program = loadClassifier({
    name: 'probe',
    instructions: new Assembler().mov('r0', 0).exit().assemble(),
  });
  return objectInfo('read program', program, 32).getUint32(16, true) > 0; // bpf_prog_info.jited_prog_len
}

function isTaken(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof KernelError && (error.errno === EINVAL || error.errno === ENOTSUPP)) return false;
    throw error;
  }
}
