// SPDX-License-Identifier: Apache-2.0
/** Keys of one collection in their order, so that lists and pages need no sorting. */

export class SortedNames {
  #names: string[];

  constructor(names: Iterable<string>) {
    this.#names = [...names].sort(byCode);
  }

  add(name: string): void {
    this.#names.splice(this.#place(name), 0, name);
  }

  delete(name: string): void {
    const place = this.#place(name);
    if (this.#names[place] === name) this.#names.splice(place, 1);
  }

  /** Of one namespace; '' for all. */
  under(namespace: string): readonly string[] {
    if (namespace === '') return this.#names;
    // '0' follows '/'
    return this.#names.slice(this.#place(`${namespace}/`), this.#place(`${namespace}0`));
  }

  /** Where it is, or would be. */
  #place(name: string): number {
    let low = 0;
    for (let high = this.#names.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#names[middle] ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function byCode(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
