// SPDX-License-Identifier: Apache-2.0
/**
 * Door of the guard: the second layer of "closed", at the host's end of every workload's link.
 *
 * Owns:       which programs run at both sides of a workload's link; hook-links.ts keeps them there.
 * Takes in:   interface name and index, the endpoint's addresses, the mark bit that only policy sets.
 * Gives out:  the state as the kernel has it, read anew each time: a guard remembers nothing.
 * Invariants: works in the calling thread's network namespace. A swap is atomic per direction. Pins outlive the agent.
 *             Between two states of an interface at most the stricter holds for one direction.
 * Next:       bpf/guard-programs.ts says what passes, hook-links.ts attaches it.
 */
import type { Address, IfName } from '../lib/brand.ts';
import { closedName, closedProgram, fromWorkloadProgram, toWorkloadProgram } from './bpf/guard-programs.ts';
import type { LinkSide } from './bpf/link.ts';
import { loadClassifier, type Program, programName } from './bpf/load.ts';
import { HookLinks, sides } from './hook-links.ts';

/**
 * `absent`: at least one direction has no program of ours. `closed`: guarded, and not open in both directions. `other`: what runs
 * there is another data plane's of ours.
 */
export type GuardState = 'closed' | 'open' | 'absent' | 'other';

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

export class Guard {
  readonly #links: HookLinks;

  /** @param directory - see HookLinks. @throws {InvalidError} */
  constructor(directory: string) {
    this.#links = new HookLinks(directory);
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
    return this.#links.names().map((ifName) => {
      const halves = sides.map((side) => this.#half(ifName, side));
      const ifIndex = halves.find((half) => half && half.ifIndex > 0)?.ifIndex ?? 0;
      return { ifName, ifIndex, state: stateOf(halves, ifIndex) };
    });
  }

  /** The interface is unguarded afterwards, so remove that first. Nothing happens if there is no guard. */
  remove(ifName: IfName): void {
    this.#links.remove(ifName);
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
    return this.#links.put(ifName, ifIndex, side, loaded);
  }

  /** Null without a pin. Read again while what the pin held is replaced: agent and runtime may guard a new link at once. */
  #half(ifName: IfName, side: LinkSide): Half | null {
    for (;;) {
      const attached = this.#links.at(ifName, side);
      if (!attached) return null;
      const { ifIndex, programId } = attached;
      const program = programId === 0 ? '' : programName(programId);
      if (program !== null) return { ifIndex, program };
    }
  }
}

function openPrograms(spec: OpenGuard): { [S in LinkSide]: Program } {
  return { ingress: fromWorkloadProgram(spec.addresses), egress: toWorkloadProgram(spec.markBit) };
}

function stateOf(halves: readonly (Half | null)[], ifIndex: number): GuardState {
  const attached = halves.every((half) => half?.ifIndex === ifIndex && half.program !== '');
  if (!attached || ifIndex === 0) return 'absent';
  if (!halves.every((half) => half && ours.test(half.program))) return 'other';
  return halves.some((half) => half?.program === closedName) ? 'closed' : 'open';
}
