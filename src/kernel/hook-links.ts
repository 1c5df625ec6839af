// SPDX-License-Identifier: Apache-2.0
/**
 * The one program of ours at each side of an interface: a tcx link, pinned as `IFNAME-in` or `IFNAME-out` in one directory of a
 * bpffs; or, where the kernel has no tcx, a clsact filter, which holds its program by itself (hook-filters.ts).
 *
 * Invariants: works in the calling thread's network namespace; read anew each time, remembers nothing. A swap is atomic: no
 *             packet sees neither program. Pins outlive the agent; a link outlives its interface, attached to nothing.
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { IfName } from '../lib/brand.ts';
import { InvalidError, KernelError } from '../lib/errors.ts';
import { isBpffs } from './bpf/bpffs.ts';
import {
  attachedPrograms,
  createLink,
  type LinkSide,
  linkInfo,
  openPin,
  pinLink,
  supportsTcx,
  updateLink,
} from './bpf/link.ts';
import { programIdOf } from './bpf/load.ts';
import { HookFilters } from './hook-filters.ts';
import type { Attached, HookPlaces } from './hook-places.ts';
import { EEXIST, ENODEV, ENOENT, ENOLINK } from './sys/constants.ts';
import type { Fd } from './sys/fd.ts';

export const sides: readonly LinkSide[] = ['ingress', 'egress'];
const suffixes: { readonly [S in LinkSide]: string } = { ingress: '-in', egress: '-out' };

export class HookLinks implements HookPlaces {
  readonly #places: HookPlaces;

  /**
   * @param directory - in a bpffs (mountBpffs), made if missing; no dots. One for each network namespace.
   * @param by - which way. @defaultValue tcx if the kernel has it
   * @throws {InvalidError}
   */
  constructor(directory: string, by: 'tcx' | 'clsact' = supportsTcx() ? 'tcx' : 'clsact') {
    if (basename(directory).includes('.'))
      throw new InvalidError(`directory ${directory}: a bpffs allows no dots`);
    if (isBpffs(dirname(directory))) mkdirSync(directory, { recursive: true, mode: 0o700 });
    else if (!isBpffs(directory)) throw new InvalidError(`directory ${directory}: want one in a bpffs`);
    this.#places = by === 'tcx' ? new PinnedLinks(directory) : new HookFilters();
  }

  /** Null where nothing of ours was put. */
  at(ifName: IfName, side: LinkSide): Attached | null {
    return this.#places.at(ifName, side);
  }

  /** @returns whether it changed anything: false where that very program runs. @throws {KernelError} ENODEV */
  put(ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): boolean {
    return this.#places.put(ifName, ifIndex, side, program);
  }

  /** The interface is without them afterwards, so remove that first. Nothing happens if there are none. */
  remove(ifName: IfName): void {
    this.#places.remove(ifName);
  }

  /** Every interface with a program of ours, with tcx also those that went. Sorted. */
  names(): IfName[] {
    return this.#places.names();
  }
}

class PinnedLinks implements HookPlaces {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Link and hook are read one after the other: again where the program was swapped in between. */
  at(ifName: IfName, side: LinkSide): Attached | null {
    using link = openPin(this.#pin(ifName, side));
    if (!link) return null;
    for (;;) {
      const { ifIndex, programId, side: at } = linkInfo(link);
      const runs = ifIndex > 0 && at === side && isAttached(ifIndex, side, programId);
      if (runs || linkInfo(link).programId === programId) return { ifIndex, programId: runs ? programId : 0 };
    }
  }

  put(ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): boolean {
    return patiently(() => this.#put(ifName, ifIndex, side, program));
  }

  #put(ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): boolean {
    const attached = this.at(ifName, side);
    const isThere = attached?.ifIndex === ifIndex && attached.programId !== 0;
    if (isThere && attached.programId === programIdOf(program)) return false;
    if (isThere && this.#swap(ifName, side, program)) return true;
    using link = this.#create(ifName, ifIndex, side, program);
    if (!link) return true;
    this.#unpin(ifName, side); // of an interface that went, or that bore this name before
    pinLink(link, this.#pin(ifName, side));
    return true;
  }

  /** Null: the program runs there already, under the name that the interface had, and its pin has the new name now. */
  #create(ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): Fd | null {
    try {
      return createLink(program, ifIndex, side);
    } catch (error) {
      const runsAlready = error instanceof KernelError && error.errno === EEXIST;
      if (runsAlready && this.#takeOver(ifName, ifIndex, side)) return null;
      throw error;
    }
  }

  remove(ifName: IfName): void {
    for (const side of sides) this.#unpin(ifName, side);
  }

  names(): IfName[] {
    return [...new Set(readdirSync(this.#directory).flatMap((pin) => ifNameOf(pin) ?? []))].sort();
  }

  /** The interface had another name: its pin gets the new one. @returns whether there was such a pin. */
  #takeOver(ifName: IfName, ifIndex: number, side: LinkSide): boolean {
    const before = this.names().find((name) => {
      const attached = name === ifName ? null : this.at(name, side);
      return attached?.ifIndex === ifIndex && attached.programId !== 0;
    });
    if (before === undefined) return false;
    this.#unpin(ifName, side);
    renameSync(this.#pin(before, side), this.#pin(ifName, side));
    return true;
  }

  /** @returns false when the link was detached meanwhile. */
  #swap(ifName: IfName, side: LinkSide, program: Fd): boolean {
    using link = openPin(this.#pin(ifName, side));
    if (!link) return false;
    try {
      updateLink(link, program);
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENOLINK) return false;
      throw error;
    }
  }

  #unpin(ifName: IfName, side: LinkSide): void {
    rmSync(this.#pin(ifName, side), { force: true });
  }

  #pin(ifName: IfName, side: LinkSide): string {
    return join(this.#directory, encodeURIComponent(ifName).replaceAll('.', '%2E') + suffixes[side]);
  }
}

/**
 * A hook takes no program twice (bpf_mprog_exists), and a link whose pin was replaced, as two processes do that guard a new link
 * at once, detaches a little later: after an RCU grace period.
 */
function patiently<T>(attach: () => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return attach();
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== EEXIST || tries === maximumTries) throw error;
      Atomics.wait(never, 0, 0, pauseMs);
    }
  }
}

const maximumTries = 20;
const pauseMs = 10;
const never = new Int32Array(new SharedArrayBuffer(4));

function isAttached(ifIndex: number, side: LinkSide, programId: number): boolean {
  try {
    return attachedPrograms(ifIndex, side).includes(programId);
  } catch (error) {
    if (error instanceof KernelError && (error.errno === ENODEV || error.errno === ENOENT)) return false;
    throw error;
  }
}

function ifNameOf(pin: string): IfName | null {
  const match = /^(.+)-(?:in|out)$/.exec(pin);
  return match?.[1] === undefined ? null : (decodeURIComponent(match[1]) as IfName);
}
