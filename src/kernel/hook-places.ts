// SPDX-License-Identifier: Apache-2.0
/** Where our one program at each side of an interface is kept, however it is attached. */
import type { IfName } from '../lib/brand.ts';
import type { LinkSide } from './bpf/link.ts';
import type { Fd } from './sys/fd.ts';

export interface Attached {
  /** 0 when the interface went. */
  readonly ifIndex: number;
  /** 0 when the program does not run: detached, or the interface went. */
  readonly programId: number;
}

/** What both ways of attaching can do. */
export interface HookPlaces {
  at(ifName: IfName, side: LinkSide): Attached | null;
  put(ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): boolean;
  remove(ifName: IfName): void;
  names(): IfName[];
}
