// SPDX-License-Identifier: Apache-2.0
/**
 * IP sets in one family's table. A set of hosts is a hash; once a network joins, it must be an interval tree, and a
 * set's form is fixed at its birth: so the form is part of its name, and whoever reads it is told to render anew.
 */
import type { IpSet } from '../../contract/dataplane.ts';
import type { SetSpec } from '../../kernel/nft/model.ts';
import { type Family, familyOf } from '../../lib/address.ts';
import type { Cidr, IpSetId } from '../../lib/brand.ts';
import { isHost } from '../../lib/cidr.ts';
import { tryParseProtocol } from '../../lib/protocol.ts';
import { chainName } from '../../rules/names.ts';
import { memberText, portSetSpec } from './render.ts';
import { SetUnions } from './set-unions.ts';
import type { FamilyTable } from './tables.ts';

type Form = 'hosts' | 'nets' | 'ports';

const specs: { readonly [F in Form]: SetSpec } = {
  hosts: { key: ['address'], interval: false },
  nets: { key: ['address'], interval: true },
  ports: portSetSpec,
};
const prefixes: { readonly [F in Form]: string } = { hosts: 'sh', nets: 'sn', ports: 'sp' };

interface Row {
  form: Form;
  readonly type: IpSet['type'];
  readonly members: Set<string>;
  /** Members that are networks: the set must be a tree while there is one. */
  nets: number;
}

export class IpSets {
  readonly #family: Family;
  readonly #table: FamilyTable;
  readonly #rows = new Map<IpSetId, Row>();
  /** Told of every member of a set of type `net` that comes or goes; of interest only while the set is of hosts. */
  readonly #unions: SetUnions;

  constructor(family: Family, table: FamilyTable) {
    this.#family = family;
    this.#table = table;
    this.#unions = new SetUnions(table);
  }

  useUnion(name: string, sets: readonly IpSetId[]): void {
    this.#unions.use(name, sets, (id) => this.#keysOf(id));
  }

  releaseUnion(name: string): void {
    this.#unions.release(name);
  }

  /** @returns whether the set's name changed, so that its readers must be rendered anew. */
  replace(id: IpSetId, set: IpSet): boolean {
    const before = this.#rows.get(id);
    const members = new Set(set.members.filter((member) => memberFamily(set.type, member) === this.#family));
    const nets = set.type === 'net' ? [...members].filter((member) => !isHost(member as Cidr)).length : 0;
    const row: Row = { form: formOf(set.type, nets), type: set.type, members, nets };
    this.#rows.set(id, row);
    for (const member of before?.members ?? [])
      if (!members.has(member)) this.#tellUnions(id, row, member, -1);
    for (const member of members) if (!before?.members.has(member)) this.#tellUnions(id, row, member, 1);
    if (before && before.form !== row.form) this.#table.forgetSet(setName(id, before.form));
    this.#want(id, row);
    return before !== undefined && before.form !== row.form;
  }

  /** @returns as replace does. */
  change(id: IpSetId, add: readonly string[], remove: readonly string[]): boolean {
    const row = this.#rows.get(id);
    if (!row) throw new TypeError(`delta of unknown IP set ${id}`);
    const name = setName(id, row.form);
    for (const member of remove) {
      if (!row.members.delete(member)) continue;
      row.nets -= isNet(row, member) ? 1 : 0;
      this.#tellUnions(id, row, member, -1);
    }
    for (const member of add) {
      if (memberFamily(row.type, member) !== this.#family || row.members.has(member)) continue;
      row.members.add(member);
      row.nets += isNet(row, member) ? 1 : 0;
      this.#tellUnions(id, row, member, 1);
    }
    if (formOf(row.type, row.nets) !== row.form) return this.#reform(id, row);
    this.#changeMembers(name, row, add, remove);
    return false;
  }

  remove(id: IpSetId): void {
    const row = this.#rows.get(id);
    if (!row) return;
    this.#rows.delete(id);
    for (const member of row.members) this.#tellUnions(id, row, member, -1);
    this.#table.forgetSet(setName(id, row.form));
  }

  /** What rules look into. A set that was never sent has a name too, under which nothing stands: the kernel refuses it. */
  nameOf(id: IpSetId): string {
    return setName(id, this.#rows.get(id)?.form ?? 'hosts');
  }

  isHostsOnly(id: IpSetId): boolean {
    return this.#rows.get(id)?.form === 'hosts';
  }

  /** Wants every set anew, after one was quarantined. */
  wantAll(): void {
    this.#unions.wantAll();
    for (const [id, row] of this.#rows) this.#want(id, row);
  }

  #keysOf(id: IpSetId): Iterable<string> {
    const row = this.#rows.get(id);
    return row ? [...row.members].map((member) => keyOf(row.type, member)) : [];
  }

  #tellUnions(id: IpSetId, row: Row, member: string, by: 1 | -1): void {
    if (row.type === 'net') this.#unions.memberChanged(id, keyOf(row.type, member), by);
  }

  #reform(id: IpSetId, row: Row): boolean {
    this.#table.forgetSet(setName(id, row.form));
    row.form = formOf(row.type, row.nets);
    this.#want(id, row);
    return true;
  }

  #want(id: IpSetId, row: Row): void {
    const elements = [...row.members].map((member) => ({ key: keyOf(row.type, member) }));
    this.#table.wantSet(setName(id, row.form), { spec: specs[row.form], elements });
  }

  #changeMembers(name: string, row: Row, add: readonly string[], remove: readonly string[]): void {
    const members = this.#table.members(name);
    for (const member of remove) members.deleteDesired(keyOf(row.type, member));
    for (const member of add) {
      if (!row.members.has(member)) continue;
      const key = keyOf(row.type, member);
      members.setDesired(key, { key });
    }
  }
}

/** A tree stays a tree until its last network is gone: going back early would only make the next change dearer. */
function formOf(type: IpSet['type'], nets: number): Form {
  if (type === 'ip-port') return 'ports';
  return nets > 0 ? 'nets' : 'hosts';
}

function isNet(row: Row, member: string): boolean {
  return row.type === 'net' && !isHost(member as Cidr);
}

function setName(id: IpSetId, form: Form): string {
  return chainName(prefixes[form], '', [id]);
}

function memberFamily(type: IpSet['type'], member: string): Family {
  return familyOf(type === 'net' ? member : member.slice(0, member.indexOf(',')));
}

/** `10.0.0.1,tcp:80` becomes `10.0.0.1 . 6 . 80`. */
function keyOf(type: IpSet['type'], member: string): string {
  if (type === 'net') return memberText(member as Cidr);
  const [address = '', rest = ''] = member.split(',');
  const [protocol = '', port = ''] = rest.split(':');
  const number = tryParseProtocol(protocol);
  if (number === null) throw new TypeError(`member ${member}: want ADDRESS,PROTOCOL:PORT`);
  return `${address} . ${number} . ${port}`;
}
