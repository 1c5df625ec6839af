// SPDX-License-Identifier: Apache-2.0
import type { ProfileValue } from '../model/types.ts';
import { decrement, increment } from './member-set.ts';
import { type CalcNode, type Change, nameOf, stepsPerYield, type Work } from './node.ts';
import type { RuleScanner } from './rule-scanner.ts';

/** Which profiles the endpoints of this node list. One that is not stored is sent all the same, marked missing. */
export class ActiveProfiles implements CalcNode {
  readonly name = 'active-profiles';
  readonly consumes = ['Profile', 'WorkloadEndpoint', 'HostEndpoint'] as const;
  readonly feeds = ['rule-scanner'] as const;
  readonly localEndpointsOnly = true;
  readonly #scanner: RuleScanner;
  readonly #profiles = new Map<string, ProfileValue>();
  readonly #useCounts = new Map<string, number>();
  readonly #active = new Set<string>();
  readonly #dirty = new Set<string>();

  constructor(scanner: RuleScanner) {
    this.#scanner = scanner;
  }

  onChange(change: Change): void {
    if (change.kind === 'Profile') this.#setProfile(nameOf(change), change.value);
    else if (change.kind === 'WorkloadEndpoint' || change.kind === 'HostEndpoint') {
      for (const name of change.value?.profiles ?? []) increment(this.#useCounts, name);
      for (const name of change.previous?.profiles ?? []) decrement(this.#useCounts, name);
      for (const name of [...(change.previous?.profiles ?? []), ...(change.value?.profiles ?? [])])
        this.#dirty.add(name);
    }
  }

  *flush(): Work {
    let steps = 0;
    for (const name of this.#dirty) {
      if (++steps % stepsPerYield === 0) yield;
      if (this.#useCounts.has(name)) {
        this.#active.add(name);
        this.#scanner.setProfile(name, this.#profiles.get(name) ?? null);
      } else if (this.#active.delete(name)) this.#scanner.deleteProfile(name);
    }
    this.#dirty.clear();
  }

  #setProfile(name: string, profile: ProfileValue | null): void {
    if (profile) this.#profiles.set(name, profile);
    else this.#profiles.delete(name);
    this.#dirty.add(name);
  }
}
