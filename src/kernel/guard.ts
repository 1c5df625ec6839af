// SPDX-License-Identifier: Apache-2.0
/**
 * Door of the guard: the second layer of "closed", at the host's end of every workload's link.
 *
 * Owns:       two tcx links per interface, pinned as `IFNAME-in` (what the workload sends) and `IFNAME-out` (what it is
 *             sent) in one directory of a bpffs; the programs in them.
 * Takes in:   interface name and index, the endpoint's addresses, the mark bit that only policy sets.
 * Gives out:  the state as the kernel has it, read anew each time: a guard remembers nothing.
 * Invariants: works in the calling thread's network namespace. A swap is atomic per direction. Pins outlive the agent.
 *             Between two states of an interface at most the stricter holds for one direction.
 * Next:       bpf/guard-programs.ts says what passes, bpf/link.ts attaches it.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Address, IfName } from '../lib/brand.ts';
import { InvalidError, KernelError } from '../lib/errors.ts';
import { isBpffs } from './bpf/bpffs.ts';
import { closedName, closedProgram, fromWorkloadProgram, toWorkloadProgram } from './bpf/guard-programs.ts';
import {
  attachedPrograms,
  createLink,
  type LinkSide,
  linkInfo,
  openPin,
  pinLink,
  updateLink,
} from './bpf/link.ts';
import { loadClassifier, type Program, programName } from './bpf/load.ts';
import { ENODEV, ENOENT, ENOLINK } from './sys/constants.ts';
import type { Fd } from './sys/fd.ts';

/** `absent`: at least one direction is not guarded. `closed`: guarded, and not open in both directions. */
export type GuardState = 'closed' | 'open' | 'absent';

export interface OpenGuard {
  /** Both families; from these alone the workload may send. */
  readonly addresses: readonly Address[];
  /** One bit of skb->mark. */
  readonly markBit: number;
}

export interface GuardRow {
  readonly ifName: IfName;
  /** 0 when the interface went. */
  readonly ifIndex: number;
  readonly state: GuardState;
}

interface Half {
  readonly ifIndex: number;
  /** Empty when the program does not run. */
  readonly program: string;
}

/** Names that bpf/guard-programs.ts gives. */
const ours = /^(muslin_closed|m[ie]_[0-9a-f]{12})$/;
const sides: readonly LinkSide[] = ['ingress', 'egress'];
const suffixes: { readonly [S in LinkSide]: string } = { ingress: '-in', egress: '-out' };

export class Guard {
  readonly #directory: string;

  /** @param directory - in a bpffs (mountBpffs), made if missing; no dots. One for each network namespace. @throws {InvalidError} */
  constructor(directory: string) {
    if (basename(directory).includes('.'))
      throw new InvalidError(`directory ${directory}: a bpffs allows no dots`);
    if (isBpffs(dirname(directory))) mkdirSync(directory, { recursive: true, mode: 0o700 });
    else if (!isBpffs(directory)) throw new InvalidError(`directory ${directory}: want one in a bpffs`);
    this.#directory = directory;
  }

  /** Nothing passes any more. @returns directions it had to change: 0 if it was closed. @throws {KernelError} ENODEV */
  close(ifName: IfName, ifIndex: number): number {
    const program = closedProgram();
    return this.#put(ifName, ifIndex, { ingress: program, egress: program });
  }

  /** @returns directions it had to change: 0 if it was open in the same way. @throws {KernelError} ENODEV */
  open(ifName: IfName, ifIndex: number, spec: OpenGuard): number {
    return this.#put(ifName, ifIndex, openPrograms(spec));
  }

  /** @param ifIndex - given: absent unless the guard is on that very interface. */
  state(ifName: IfName, ifIndex?: number): GuardState {
    const halves = sides.map((side) => this.#half(ifName, side));
    return stateOf(halves, ifIndex ?? halves[0]?.ifIndex ?? 0);
  }

  /** True if it is open in exactly this way, and on that interface. */
  isOpen(ifName: IfName, ifIndex: number, spec: OpenGuard): boolean {
    const programs = openPrograms(spec);
    return sides.every((side) => {
      const half = this.#half(ifName, side);
      return half?.ifIndex === ifIndex && half.program === programs[side].name;
    });
  }

  /** Every pinned guard, also of interfaces that went. Sorted by name. */
  list(): GuardRow[] {
    const names = new Set(readdirSync(this.#directory).flatMap((pin) => ifNameOf(pin) ?? []));
    return [...names].sort().map((ifName) => {
      const halves = sides.map((side) => this.#half(ifName, side));
      const ifIndex = halves.find((half) => half && half.ifIndex > 0)?.ifIndex ?? 0;
      return { ifName, ifIndex, state: stateOf(halves, ifIndex) };
    });
  }

  /** The interface is unguarded afterwards, so remove that first. Nothing happens if there is no guard. */
  remove(ifName: IfName): void {
    for (const side of sides) this.#unpin(ifName, side);
  }

  /** Removes what vanished interfaces left. @returns their names. */
  sweep(): IfName[] {
    const gone = this.list().filter((row) => row.ifIndex === 0);
    for (const row of gone) this.remove(row.ifName);
    return gone.map((row) => row.ifName);
  }

  #put(ifName: IfName, ifIndex: number, programs: { readonly [S in LinkSide]: Program }): number {
    return sides.filter((side) => this.#putHalf(ifName, ifIndex, side, programs[side])).length;
  }

  /** @returns whether it changed anything. */
  #putHalf(ifName: IfName, ifIndex: number, side: LinkSide, program: Program): boolean {
    const half = this.#half(ifName, side);
    if (half?.ifIndex === ifIndex && half.program === program.name) return false;
    using loaded = loadClassifier(program);
    if (half?.ifIndex === ifIndex && this.#swap(ifName, side, loaded)) return true;
    using link = createLink(loaded, ifIndex, side);
    this.#unpin(ifName, side); // of an interface that went, or that bore this name before
    pinLink(link, this.#pin(ifName, side));
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

  /** Null without a pin. */
  #half(ifName: IfName, side: LinkSide): Half | null {
    using link = openPin(this.#pin(ifName, side));
    if (!link) return null;
    const info = linkInfo(link);
    const runs = info.ifIndex > 0 && info.side === side && isAttached(info.ifIndex, side, info.programId);
    return { ifIndex: info.ifIndex, program: runs ? programName(info.programId) : '' };
  }

  #unpin(ifName: IfName, side: LinkSide): void {
    rmSync(this.#pin(ifName, side), { force: true });
  }

  #pin(ifName: IfName, side: LinkSide): string {
    return join(this.#directory, encodeURIComponent(ifName).replaceAll('.', '%2E') + suffixes[side]);
  }
}

function openPrograms(spec: OpenGuard): { [S in LinkSide]: Program } {
  return { ingress: fromWorkloadProgram(spec.addresses), egress: toWorkloadProgram(spec.markBit) };
}

function stateOf(halves: readonly (Half | null)[], ifIndex: number): GuardState {
  const guarded = halves.every((half) => half?.ifIndex === ifIndex && ours.test(half.program));
  if (!guarded || ifIndex === 0) return 'absent';
  return halves.some((half) => half?.program === closedName) ? 'closed' : 'open';
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
