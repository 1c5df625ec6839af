// SPDX-License-Identifier: Apache-2.0
/**
 * The guards at the host's ends of workloads' links: open exactly where policy is in force, closed everywhere else.
 *
 * Owns:       which interface is open and how, as last made sure of. Every interface with the workloads' prefix counts,
 *             so one that the agent does not know is closed like any other that has no policy.
 * Invariants: closing comes before policy changes, opening after; what was not made sure of is not called open.
 * @see reference to tcx: links give no event when a stranger detaches them, hence `changed` is asked for now and then.
 */
import type { Guard, OpenGuard } from '../../kernel/guard.ts';
import { hardenInterface } from '../../kernel/harden.ts';
import type { IfName } from '../../lib/brand.ts';
import { parseIfName } from '../../lib/if-name.ts';
import type { Interfaces } from './interfaces.ts';

export interface GuardFailure {
  readonly table: 'guards';
  readonly key: string;
  readonly message: string;
}

export class Guards {
  readonly #guard: Guard;
  readonly #interfaces: Interfaces;
  readonly #prefix: string;
  readonly #open = new Map<IfName, OpenGuard>();
  /** What the kernel has, by name: index and form of the guard. */
  readonly #sure = new Map<string, string>();
  /** The links for which pins of vanished ones were swept. */
  #sweptFor: ReadonlyMap<string, number> | null = null;

  constructor(guard: Guard, interfaces: Interfaces, prefix: string) {
    this.#guard = guard;
    this.#interfaces = interfaces;
    this.#prefix = prefix;
  }

  wishOpen(ifName: IfName, spec: OpenGuard): void {
    this.#open.set(ifName, spec);
  }

  wishClosed(ifName: IfName): void {
    this.#open.delete(ifName);
  }

  isOpen(ifName: IfName): boolean {
    const spec = this.#open.get(ifName);
    return (
      spec !== undefined && this.#sure.get(ifName) === formOf(this.#interfaces.indexOf(ifName) ?? 0, spec)
    );
  }

  /** Trust nothing that was made sure of before. */
  forget(): void {
    this.#sure.clear();
  }

  /**
   * Before policy changes: closes what nobody may open, and what has no guard at all. Links in `mayStay` keep what they
   * have, so that a restarted agent cuts nothing that stands.
   */
  closeOthers(mayStay: ReadonlySet<IfName>): { changed: number; failed: GuardFailure[] } {
    return this.#each((ifName, ifIndex) => {
      const stays =
        mayStay.has(ifName) && (this.#sure.has(ifName) || this.#guard.state(ifName, ifIndex) !== 'absent');
      return stays ? 0 : this.#make(ifName, ifIndex, null);
    });
  }

  openWished(): { changed: number; failed: GuardFailure[] } {
    const result = this.#each((ifName, ifIndex) => {
      const spec = this.#open.get(ifName);
      return spec ? this.#make(ifName, ifIndex, spec) : 0;
    });
    this.#sweepOnce();
    return result;
  }

  /** An interface whose guard is not what was made sure of; null when all are as they should be. */
  changed(): IfName | null {
    for (const [name, ifIndex] of this.#interfaces.withPrefix(this.#prefix)) {
      const ifName = parseIfName(name);
      const sure = this.#sure.get(name);
      const spec = this.#open.get(ifName);
      if (sure === undefined || sure !== formOf(ifIndex, spec ?? null)) continue; // apply will see to it
      const as = spec
        ? this.#guard.isOpen(ifName, ifIndex, spec)
        : this.#guard.state(ifName, ifIndex) === 'closed';
      if (!as) return ifName;
    }
    return null;
  }

  /** Puts back what a stranger loosened of the links' settings, of which no event tells. @returns how many links. */
  hardenAgain(): number {
    return this.#each((ifName) => (hardenInterface(ifName) > 0 ? 1 : 0)).changed;
  }

  /** Reading every pin costs several system calls each: only links that came or went leave something to sweep. */
  #sweepOnce(): void {
    const listing = this.#interfaces.listing();
    if (this.#sweptFor === listing) return;
    this.#guard.sweep();
    this.#sweptFor = listing;
  }

  #make(ifName: IfName, ifIndex: number, spec: OpenGuard | null): number {
    const form = formOf(ifIndex, spec);
    if (this.#sure.get(ifName) === form) return 0;
    const changed = spec ? this.#guard.open(ifName, ifIndex, spec) : this.#guard.close(ifName, ifIndex);
    const hardened = hardenInterface(ifName);
    this.#sure.set(ifName, form);
    return changed + hardened > 0 ? 1 : 0;
  }

  #each(make: (ifName: IfName, ifIndex: number) => number): { changed: number; failed: GuardFailure[] } {
    const failed: GuardFailure[] = [];
    let changed = 0;
    for (const [name, ifIndex] of this.#interfaces.withPrefix(this.#prefix)) {
      try {
        changed += make(parseIfName(name), ifIndex);
      } catch (error) {
        this.#interfaces.forget();
        if (this.#interfaces.indexOf(name) !== ifIndex) continue; // it went meanwhile, and no failure is that
        failed.push({
          table: 'guards',
          key: name,
          message: error instanceof Error ? error.message : String(error),
        });
      }
    }
    return { changed, failed };
  }
}

function formOf(ifIndex: number, spec: OpenGuard | null): string {
  return `${ifIndex} ${spec ? `open ${spec.markBit} ${spec.addresses.join(' ')}` : 'closed'}`;
}
