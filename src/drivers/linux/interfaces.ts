// SPDX-License-Identifier: Apache-2.0
/** The node's links by name and their addresses, as last listed; events say when that is old. */

import type { Link } from '../../kernel/rtnetlink/links.ts';
import type { Rtnetlink } from '../../kernel/rtnetlink/rtnetlink.ts';
import type { Address, IfName } from '../../lib/brand.ts';
import { parseIfName } from '../../lib/if-name.ts';

export class Interfaces {
  readonly #rtnetlink: Rtnetlink;
  #links: readonly Link[] | null = null;
  #byName: ReadonlyMap<string, number> | null = null;
  #up: ReadonlyMap<string, number> | null = null;
  #addresses: ReadonlyMap<IfName, readonly Address[]> | null = null;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  /** The next question lists anew. */
  forget(): void {
    this.#links = null;
    this.#byName = null;
    this.#up = null;
    this.#addresses = null;
  }

  /** Index by name; the same object until the links were listed anew. */
  listing(): ReadonlyMap<string, number> {
    this.#byName ??= new Map(this.links().map((link) => [link.name, link.index]));
    return this.#byName;
  }

  links(): readonly Link[] {
    this.#links ??= this.#rtnetlink.links.list();
    return this.#links;
  }

  indexOf(name: string): number | undefined {
    return this.listing().get(name);
  }

  /** Of those that are set up: no route leads over one that is not yet. */
  upIndexOf(name: string): number | undefined {
    this.#up ??= new Map(this.links().flatMap(({ name, index, up }) => (up ? [[name, index]] : [])));
    return this.#up.get(name);
  }

  names(): readonly IfName[] {
    return [...this.listing().keys()].map(parseIfName);
  }

  /** A link without addresses has no row. */
  addresses(): ReadonlyMap<IfName, readonly Address[]> {
    this.#addresses ??= this.#listAddresses();
    return this.#addresses;
  }

  #listAddresses(): ReadonlyMap<IfName, readonly Address[]> {
    const names = new Map([...this.listing()].map(([name, index]) => [index, parseIfName(name)]));
    const found = new Map<IfName, Address[]>();
    for (const { index, address } of this.#rtnetlink.addresses.list()) {
      const name = names.get(index);
      if (name !== undefined) found.set(name, [...(found.get(name) ?? []), address]);
    }
    return found;
  }

  withPrefix(prefix: string): readonly (readonly [string, number])[] {
    return [...this.listing()].filter(([name]) => name.startsWith(prefix));
  }
}
