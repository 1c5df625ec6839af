// SPDX-License-Identifier: Apache-2.0
/**
 * Links: a program at its hook, held by a descriptor or a pin: tcx at an interface's ingress or egress (Linux 6.6), XDP before
 * them, cgroups at system calls.
 *
 * Invariants: closing the last descriptor of an unpinned link detaches its program. A link outlives its interface,
 *             attached to nothing (`ifIndex` 0). `updateLink` and `detachLink` are for all kinds.
 * Next:       classifier.ts where a kernel may be without tcx.
 */
import { KernelError, UnsupportedError } from '../../lib/errors.ts';
import { EBUSY, EEXIST, EINVAL, ENODEV, EPERM, O_RDONLY } from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import { sys } from '../sys/open.ts';
import * as call from './call.ts';
import { pin } from './pin.ts';
import { type CgroupHook, cgroupHooks } from './program-types.ts';

export { openPin } from './pin.ts';

const attachTypes = { ingress: 46, egress: 47 } as const; // BPF_TCX_INGRESS, BPF_TCX_EGRESS
const BPF_F_BEFORE = 1 << 3;
const linkInfoBytes = 32; // struct bpf_link_info up to cgroup
const linkKinds: { readonly [type: number]: LinkInfo['kind'] } = { 3: 'cgroup', 6: 'xdp', 11: 'tcx' }; // enum bpf_link_type
const BPF_XDP = 37;
/** include/uapi/linux/if_link.h */
const XDP_FLAGS_SKB_MODE = 2;
const XDP_FLAGS_DRV_MODE = 4;
const maxPrograms = 64; // BPF_MPROG_MAX
const loopback = 1; // every network namespace's first interface

export type LinkSide = keyof typeof attachTypes;

export interface LinkInfo {
  readonly kind: 'tcx' | 'xdp' | 'cgroup' | 'other';
  readonly programId: number;
  /** 0 when detached or when the interface went, and for cgroups. */
  readonly ifIndex: number;
  /** Null unless it is tcx. */
  readonly side: LinkSide | null;
  /** The inode of the cgroup's directory, which has one hook for each program type; 0 when detached. Null unless it is a cgroup. */
  readonly cgroup: { readonly id: bigint; readonly hook: CgroupHook | null } | null;
}

/** `native`: in the driver, before a packet has an skb. `generic`: after, on every interface. */
export type XdpMode = 'native' | 'generic';

/**
 * Ahead of all programs there are, on an interface of the calling thread's network namespace.
 *
 * @throws {UnsupportedError} before Linux 6.6. @throws {KernelError} ENODEV
 */
export function createLink(program: Fd, ifIndex: number, side: LinkSide): Fd {
  const operation = `attach program to ${side} of interface ${ifIndex}`;
  try {
    return call.bpfFd(operation, call.BPF_LINK_CREATE, [
      { at: 0, u32: program.number },
      { at: 4, u32: ifIndex },
      { at: 8, u32: attachTypes[side] },
      { at: 12, u32: BPF_F_BEFORE },
    ]);
  } catch (error) {
    if (error instanceof KernelError && error.errno === EINVAL && !supportsTcx()) {
      throw new UnsupportedError(`${error.message}: got a kernel without tcx, want Linux 6.6`, {
        cause: error,
      });
    }
    throw error;
  }
}

export function supportsTcx(): boolean {
  try {
    attachedPrograms(loopback, 'ingress');
    return true;
  } catch (error) {
    if (error instanceof KernelError && error.errno === EINVAL) return false;
    throw error;
  }
}

/** Puts another program in the place of the present one; no packet sees neither. */
export function updateLink(link: Fd, program: Fd): void {
  call.bpf('swap program', call.BPF_LINK_UPDATE, [
    { at: 0, u32: link.number },
    { at: 4, u32: program.number },
  ]);
}

/** Takes the program off for good, also when the link is pinned or held elsewhere. */
export function detachLink(link: Fd): void {
  call.bpf('detach program', call.BPF_LINK_DETACH, [{ at: 0, u32: link.number }]);
}

/** @param path - in a bpffs; no name in it may hold a dot. @throws {KernelError} EEXIST */
export function pinLink(link: Fd, path: string): void {
  pin(link, path);
}

/** An interface has room for one. @throws {KernelError} EBUSY when another program is there, ENODEV */
export function createXdpLink(program: Fd, ifIndex: number): { readonly link: Fd; readonly mode: XdpMode } {
  try {
    return { link: attachXdp(program, ifIndex, XDP_FLAGS_DRV_MODE), mode: 'native' };
  } catch (error) {
    if (!(error instanceof KernelError) || neitherMode.includes(error.errno)) throw error;
    // The driver cannot, or not with this MTU, these queues, this offload: each driver has its own errno.
    return { link: attachXdp(program, ifIndex, XDP_FLAGS_SKB_MODE), mode: 'generic' };
  }
}

const neitherMode = [EPERM, EBUSY, EEXIST, ENODEV];

function attachXdp(program: Fd, ifIndex: number, flags: number): Fd {
  return call.bpfFd(`attach XDP program to interface ${ifIndex}`, call.BPF_LINK_CREATE, [
    { at: 0, u32: program.number },
    { at: 4, u32: ifIndex },
    { at: 8, u32: BPF_XDP },
    { at: 12, u32: flags },
  ]);
}

/**
 * After the programs that are there; also for all cgroups below. Every one must allow.
 *
 * @param directory - of a cgroup2. @throws {KernelError} ENOENT; EBADF when it is no cgroup2.
 */
export function createCgroupLink(program: Fd, directory: string, hook: CgroupHook): Fd {
  using cgroup = sys.open(directory, O_RDONLY);
  return call.bpfFd(`attach program to ${hook} of cgroup ${directory}`, call.BPF_LINK_CREATE, [
    { at: 0, u32: program.number },
    { at: 4, u32: cgroup.number },
    { at: 8, u32: cgroupHooks[hook] },
  ]);
}

export function linkInfo(link: Fd): LinkInfo {
  const info = call.objectInfo('read link', link, linkInfoBytes);
  const kind = linkKinds[info.getUint32(0, true)] ?? 'other';
  const type = kind === 'tcx' ? info.getUint32(20, true) : 0;
  const side = type === attachTypes.ingress ? 'ingress' : type === attachTypes.egress ? 'egress' : null;
  return {
    kind,
    programId: info.getUint32(8, true),
    ifIndex: kind === 'tcx' || kind === 'xdp' ? info.getUint32(16, true) : 0,
    side,
    cgroup:
      kind === 'cgroup' ? { id: info.getBigUint64(16, true), hook: hookOf(info.getUint32(24, true)) } : null,
  };
}

function hookOf(attachType: number): CgroupHook | null {
  const found = Object.entries(cgroupHooks).find(([, number]) => number === attachType);
  return found ? (found[0] as CgroupHook) : null;
}

/** Ids in order of running. @throws {KernelError} ENODEV */
export function attachedPrograms(ifIndex: number, side: LinkSide): number[] {
  const ids = new Uint32Array(maxPrograms);
  const { attributes } = call.bpf(`list programs of interface ${ifIndex}`, call.BPF_PROG_QUERY, [
    { at: 0, u32: ifIndex },
    { at: 4, u32: attachTypes[side] },
    { at: 16, pointer: new Uint8Array(ids.buffer) },
    { at: 24, u32: ids.length },
  ]);
  return Array.from(ids.subarray(0, attributes.getUint32(24, true)));
}
