// SPDX-License-Identifier: Apache-2.0
/**
 * tcx links: a program at an interface's ingress or egress, held by a descriptor or a pin (Linux 6.6).
 *
 * Invariants: closing the last descriptor of an unpinned link detaches its program. A link outlives its interface,
 *             attached to nothing (`ifIndex` 0).
 */
import { KernelError, UnsupportedError } from '../../lib/errors.ts';
import { EINVAL } from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import * as call from './call.ts';
import { pin } from './pin.ts';

export { openPin } from './pin.ts';

const attachTypes = { ingress: 46, egress: 47 } as const; // BPF_TCX_INGRESS, BPF_TCX_EGRESS
const BPF_F_BEFORE = 1 << 3;
const linkInfoBytes = 24; // struct bpf_link_info up to tcx
const maxPrograms = 64; // BPF_MPROG_MAX
const loopback = 1; // every network namespace's first interface

export type LinkSide = keyof typeof attachTypes;

export interface LinkInfo {
  readonly programId: number;
  /** 0 when detached or when the interface went. */
  readonly ifIndex: number;
  readonly side: LinkSide | null;
}

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

export function linkInfo(link: Fd): LinkInfo {
  const info = call.objectInfo('read link', link, linkInfoBytes);
  const type = info.getUint32(20, true);
  const side = type === attachTypes.ingress ? 'ingress' : type === attachTypes.egress ? 'egress' : null;
  return { programId: info.getUint32(8, true), ifIndex: info.getUint32(16, true), side };
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
