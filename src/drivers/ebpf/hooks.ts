// SPDX-License-Identifier: Apache-2.0
/**
 * Our programs at the links: a workload's link runs them once its policy is in force, and drops everything before; the network's
 * links run theirs always; what has a workload's name and is nobody's is closed.
 *
 * Invariants: a swap is atomic; what was not made sure of is not called open; links that a restarted agent finds open stay so
 *             until their new programs are in their places.
 * @see kernel-stack of tcx: no event tells that a stranger detached a program, hence `changed` is asked now and then.
 */
import type { ApplyFailure } from '../../contract/dataplane.ts';
import { closedProgram } from '../../kernel/bpf/guard-programs.ts';
import { loadClassifier, programIdOf, programName } from '../../kernel/bpf/load.ts';
import { hardenInterface } from '../../kernel/harden.ts';
import { HookLinks, sides } from '../../kernel/hook-links.ts';
import type { Fd } from '../../kernel/sys/fd.ts';
import type { IfName } from '../../lib/brand.ts';
import { parseIfName } from '../../lib/if-name.ts';
import type { Interfaces } from '../linux/interfaces.ts';

export type HookKind = 'workload' | 'network' | 'closed';

type Pair = { readonly ingress: Fd; readonly egress: Fd };

/** Names of what runs at the ingress of links that are not closed: bpf/classifier.c. */
const ours: ReadonlySet<string> = new Set(['from_workload', 'from_network']);

/** A workload's source is checked by our programs; answers of services come from addresses that are routed elsewhere. */
const relaxed = { ipv4: { rp_filter: 0 } } as const;

export class Hooks implements Disposable {
  readonly #links: HookLinks;
  readonly #interfaces: Interfaces;
  readonly #closed = loadClassifier(closedProgram());
  readonly #programs: { readonly [K in HookKind]: Pair };
  /** What the kernel has, by name: index and kind. */
  readonly #sure = new Map<string, string>();
  #wanted: ReadonlyMap<string, HookKind> = new Map();
  #sweptFor: ReadonlyMap<string, number> | null = null;

  constructor(directory: string, interfaces: Interfaces, programs: { workload: Pair; network: Pair }) {
    this.#links = new HookLinks(directory);
    this.#interfaces = interfaces;
    this.#programs = { ...programs, closed: { ingress: this.#closed, egress: this.#closed } };
  }

  [Symbol.dispose](): void {
    this.#closed.close();
  }

  /** Trust nothing that was made sure of before. */
  forget(): void {
    this.#sure.clear();
  }

  isOpen(ifName: IfName): boolean {
    return this.#sure.get(ifName) === formOf(this.#interfaces.indexOf(ifName) ?? 0, 'workload');
  }

  /** Of these links alone; the others keep what they have. */
  make(wanted: ReadonlyMap<string, HookKind>): { changed: number; failed: ApplyFailure[] } {
    return this.#each(wanted, (ifName, ifIndex, kind) => this.#make(ifName, ifIndex, kind));
  }

  /** All that shall be; what is no longer among them is left to whoever took it. */
  makeAll(wanted: ReadonlyMap<string, HookKind>): { changed: number; failed: ApplyFailure[] } {
    this.#wanted = wanted;
    const report = this.make(wanted);
    this.#sweepOnce();
    return report;
  }

  /** A link runs programs of bpf/: this data plane was at work here before, in this process or in one before. */
  wereInForce(): boolean {
    const ids = this.#links.names().map((name) => this.#links.at(name, 'ingress')?.programId ?? 0);
    return ids.some((id) => id !== 0 && ours.has(programName(id) ?? ''));
  }

  /** True where one of our own open programs stands already, of this process or of one before. */
  isGuarded(ifName: IfName, ifIndex: number): boolean {
    return sides.every((side) => {
      const attached = this.#links.at(ifName, side);
      return attached?.ifIndex === ifIndex && attached.programId !== 0;
    });
  }

  /** A link whose programs are not what was made sure of; null when all are as they should be. */
  changed(): string | null {
    for (const [name, kind] of this.#wanted) {
      const ifIndex = this.#interfaces.indexOf(name) ?? 0;
      if (this.#sure.get(name) !== formOf(ifIndex, kind)) continue; // apply will see to it
      const pair = this.#programs[kind];
      const as = sides.every((side) => {
        const attached = this.#links.at(parseIfName(name), side);
        return attached?.ifIndex === ifIndex && attached.programId === programIdOf(pair[side]);
      });
      if (!as) return name;
    }
    return null;
  }

  /** Puts back what a stranger loosened of workloads' links' settings, of which no event tells. */
  hardenAgain(): void {
    this.#each(this.#wanted, (ifName, _, kind) => (kind === 'network' ? 0 : harden(ifName)));
  }

  #each(
    wanted: ReadonlyMap<string, HookKind>,
    make: (ifName: IfName, ifIndex: number, kind: HookKind) => number,
  ): { changed: number; failed: ApplyFailure[] } {
    const failed: ApplyFailure[] = [];
    let changed = 0;
    for (const [name, kind] of wanted) {
      const ifIndex = this.#interfaces.indexOf(name);
      if (ifIndex === undefined) continue;
      try {
        changed += make(parseIfName(name), ifIndex, kind);
      } catch (error) {
        this.#interfaces.forget();
        if (this.#interfaces.indexOf(name) !== ifIndex) continue; // it went meanwhile, and no failure is that
        failed.push({ table: 'eBPF links', key: name, message: textOf(error) });
      }
    }
    return { changed, failed };
  }

  #make(ifName: IfName, ifIndex: number, kind: HookKind): number {
    const form = formOf(ifIndex, kind);
    if (this.#sure.get(ifName) === form) return 0;
    const pair = this.#programs[kind];
    // what it is sent first: a link that opens answers nothing before it may be asked, and closes in that order too
    const swapped = sides.filter((side) => this.#links.put(ifName, ifIndex, side, pair[side])).length;
    const hardened = kind === 'network' ? 0 : harden(ifName);
    this.#sure.set(ifName, form);
    return swapped + hardened > 0 ? 1 : 0;
  }

  #sweepOnce(): void {
    const listing = this.#interfaces.listing();
    if (this.#sweptFor === listing) return;
    for (const name of this.#links.names()) {
      if (!listing.has(name)) this.#links.remove(name);
      if (!listing.has(name)) this.#sure.delete(name);
    }
    this.#sweptFor = listing;
  }
}

function harden(ifName: IfName): number {
  return hardenInterface(ifName, relaxed);
}

function formOf(ifIndex: number, kind: HookKind): string {
  return `${ifIndex} ${kind}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
