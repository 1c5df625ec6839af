// SPDX-License-Identifier: Apache-2.0
import type { ServiceFrontend } from '../contract/services.ts';
import { protocolName } from '../lib/protocol.ts';
import { addTo, removeFrom } from '../lib/sets-by-key.ts';

/** Address, protocol and port, for people and for keys of maps. */
export function frontendText({ address, family, protocol, port }: ServiceFrontend): string {
  return `${address ?? `node port IPv${family}`} ${protocolName(protocol)}/${port}`;
}

/** The older first, then by name; of unknown age is the youngest. */
export function compareAge(
  a: { readonly id: string; readonly created: string },
  b: { readonly id: string; readonly created: string },
): number {
  const [createdA, createdB] = [a.created || '~', b.created || '~'];
  if (createdA !== createdB) return createdA < createdB ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** Who wants which frontend. Of several services that want one the oldest has it, of equally old ones the first by name. */
export class Claims {
  readonly #claimants = new Map<string, Set<string>>();
  readonly #claims = new Map<string, ReadonlySet<string>>();
  readonly #created = new Map<string, string>();

  /** @returns the services that may have won or lost by it, the service itself left out. */
  set(service: string, created: string, frontends: readonly ServiceFrontend[]): ReadonlySet<string> {
    const before = this.#claims.get(service) ?? new Set();
    const now = new Set(frontends.map(frontendText));
    for (const claim of before) if (!now.has(claim)) removeFrom(this.#claimants, claim, service);
    for (const claim of now) addTo(this.#claimants, claim, service);
    if (now.size > 0) this.#claims.set(service, now);
    else this.#claims.delete(service);
    if (now.size > 0) this.#created.set(service, created);
    else this.#created.delete(service);
    return this.#others(service, [...before, ...now]);
  }

  owner(frontend: ServiceFrontend): string | null {
    const claimants = [...(this.#claimants.get(frontendText(frontend)) ?? [])];
    const age = (id: string) => ({ id, created: this.#created.get(id) ?? '' });
    return claimants.sort((a, b) => compareAge(age(a), age(b)))[0] ?? null;
  }

  #others(service: string, claims: readonly string[]): ReadonlySet<string> {
    const others = new Set<string>();
    for (const claim of claims)
      for (const other of this.#claimants.get(claim) ?? []) if (other !== service) others.add(other);
    return others;
  }
}
