// SPDX-License-Identifier: Apache-2.0
/** The node's links by name, as last listed; events say when that is old. */

import type { Links } from '../../kernel/rtnetlink/links.ts';
import type { IfName } from '../../lib/brand.ts';
import { parseIfName } from '../../lib/if-name.ts';

export class Interfaces {
  readonly #links: Links;
  #byName: ReadonlyMap<string, number> | null = null;

  constructor(links: Links) {
    this.#links = links;
  }

  /** The next question lists anew. */
  forget(): void {
    this.#byName = null;
  }

  /** Index by name; the same object until the links were listed anew. */
  listing(): ReadonlyMap<string, number> {
    this.#byName ??= new Map(this.#links.list().map((link) => [link.name, link.index]));
    return this.#byName;
  }

  indexOf(name: string): number | undefined {
    return this.listing().get(name);
  }

  names(): readonly IfName[] {
    return [...this.listing().keys()].map(parseIfName);
  }

  withPrefix(prefix: string): readonly (readonly [string, number])[] {
    return [...this.listing()].filter(([name]) => name.startsWith(prefix));
  }
}
