// SPDX-License-Identifier: Apache-2.0
/**
 * The one program of ours at each side of an interface: a tcx link, pinned as `IFNAME-in` or `IFNAME-out` in one directory of a
 * bpffs.
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
  updateLink,
} from './bpf/link.ts';
import { programIdOf } from './bpf/load.ts';
import { EEXIST, ENODEV, ENOENT, ENOLINK } from './sys/constants.ts';
import type { Fd } from './sys/fd.ts';

export interface Attached {
  /** 0 when the interface went. */
  readonly ifIndex: number;
  /** 0 when the program does not run: detached, or the interface went. */
  readonly programId: number;
}

export const sides: readonly LinkSide[] = ['ingress', 'egress'];
const suffixes: { readonly [S in LinkSide]: string } = { ingress: '-in', egress: '-out' };

export class HookLinks {
  readonly #directory: string;

  /** @param directory - in a bpffs (mountBpffs), made if missing; no dots. One for each network namespace. @throws {InvalidError} */
  constructor(directory: string) {
    if (basename(directory).includes('.'))
      throw new InvalidError(`directory ${directory}: a bpffs allows no dots`);
    if (isBpffs(dirname(directory))) mkdirSync(directory, { recursive: true, mode: 0o700 });
    else if (!isBpffs(directory)) throw new InvalidError(`directory ${directory}: want one in a bpffs`);
    this.#directory = directory;
  }

  /** Null without a pin. */
  at(ifName: IfName, side: LinkSide): Attached | null {
    using link = openPin(this.#pin(ifName, side));
    if (!link) return null;
    const info = linkInfo(link);
    const runs = info.ifIndex > 0 && info.side === side && isAttached(info.ifIndex, side, info.programId);
    return { ifIndex: info.ifIndex, programId: runs ? info.programId : 0 };
  }

  /** @returns whether it changed anything: false where that very program runs. @throws {KernelError} ENODEV */
  put(ifName: IfName, ifIndex: number, side: LinkSide, program: Fd): boolean {
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

  /** The interface is without them afterwards, so remove that first. Nothing happens if there are none. */
  remove(ifName: IfName): void {
    for (const side of sides) this.#unpin(ifName, side);
  }

  /** Every interface with a pin, also those that went. Sorted. */
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
