// SPDX-License-Identifier: Apache-2.0
/**
 * The chain tree in nftables' terms: matches become statements, lists of nets and ports become sets, classifiers and
 * dispatches become verdict maps. Pure: what is rendered depends on the arguments alone.
 */

import type { Element, Field, NftRule, SetSpec, Statement } from '../../kernel/nft/model.ts';
import type { Cidr, IpSetId } from '../../lib/brand.ts';
import { addressOf, cidrRange, isHost } from '../../lib/cidr.ts';
import { assertNever } from '../../lib/errors.ts';
import { type PortRange, unionOfRanges } from '../../lib/ports.ts';
import {
  type Action,
  type Chain,
  type ChainRule,
  type Classifier,
  type Match,
  markBits,
  type Side,
} from '../../rules/chain.ts';
import { chainName } from '../../rules/names.ts';

/** What one owner (a policy, an endpoint's list, the static part) wants in the kernel. */
export interface Unit {
  readonly chains: ReadonlyMap<string, readonly NftRule[]>;
  readonly sets: ReadonlyMap<string, RenderedSet>;
  /** The IP sets that its rules look into. */
  readonly ipSets: ReadonlySet<IpSetId>;
  /** Sets that hold the members of several IP sets, of hosts only, by name. */
  readonly unions: ReadonlyMap<string, readonly IpSetId[]>;
}

export interface RenderedSet {
  readonly spec: SetSpec;
  readonly elements: readonly Element[];
}

/** What rendering asks of the IP sets as they stand in the kernel now. */
export interface SetNames {
  /** It changes when the set's form must: hosts only, or nets. */
  nameOf(id: IpSetId): string;
  isHostsOnly(id: IpSetId): boolean;
}

export function renderUnit(chains: readonly Chain[], setNames: SetNames): Unit {
  const renderer = new Renderer(setNames);
  return {
    chains: new Map(chains.map((chain) => [chain.name, chain.steps.flatMap((step) => renderer.step(step))])),
    sets: renderer.sets,
    ipSets: renderer.ipSets,
    unions: renderer.unions,
  };
}

export const portSetSpec: SetSpec = { key: ['address', 'protocol', 'port'], interval: false };
export const dispatchSpec: SetSpec = { key: ['ifname'], interval: false, map: 'verdict' };

class Renderer {
  readonly sets = new Map<string, RenderedSet>();
  readonly ipSets = new Set<IpSetId>();
  readonly unions = new Map<string, readonly IpSetId[]>();
  readonly #setNames: SetNames;

  constructor(setNames: SetNames) {
    this.#setNames = setNames;
  }

  step(step: ChainRule | Classifier): NftRule[] {
    if (step.kind === 'classify') return [{ statements: [this.#classifier(step)] }];
    const comment = step.comment === undefined ? {} : { comment: step.comment };
    return this.#alternatives(step.match).map((match) => ({
      statements: [...match.flatMap((each) => this.#match(each)), ...actionStatements(step.action)],
      ...comment,
    }));
  }

  /** "In any of these sets" is one lookup in the union of those that hold hosts only, and a rule for each of the others. */
  #alternatives(match: readonly Match[]): readonly (readonly Match[])[] {
    const at = match.findIndex((each) => each.kind === 'any-set');
    const found = match[at];
    if (found?.kind !== 'any-set') return [match];
    const hosts = found.sets.filter((set) => this.#setNames.isHostsOnly(set));
    const others = found.sets.filter((set) => !hosts.includes(set));
    const groups = [...(hosts.length > 0 ? [hosts] : []), ...others.map((set) => [set])];
    return groups.map((sets) => match.with(at, { ...found, sets }));
  }

  /** Cells of single ports make a hash, ranges a pipapo set, which is dearer to change and to look up. */
  #classifier(classifier: Classifier): Statement {
    const interval = classifier.cells.some(({ ports }) => ports.first !== ports.last);
    const name = `${classifier.name}${interval ? '-i' : ''}`;
    const elements = classifier.cells.map(({ protocol, ports, chain }) => ({
      key: `${protocol} . ${portsText(ports)}`,
      verdict: { kind: 'jump', chain } as const,
    }));
    this.sets.set(name, { spec: { key: ['protocol', 'port'], interval, map: 'verdict' }, elements });
    return { kind: 'vmap', fields: ['protocol', 'dport'], map: name };
  }

  #match(match: Match): Statement[] {
    switch (match.kind) {
      case 'protocol':
        return [
          { kind: 'equal', field: 'protocol', value: String(match.protocol), negate: match.negate ?? false },
        ];
      case 'nets':
        return [this.#nets(addressField(match.side), match.nets, match.negate ?? false)];
      case 'set':
        return [this.#ipSet([addressField(match.side)], match.set, match.negate ?? false)];
      case 'any-set':
        return [this.#anySet(addressField(match.side), match.sets)];
      case 'ports':
        return [this.#ports(portField(match.side), match.ports, match.negate ?? false)];
      case 'port-set': {
        const fields: Field[] = [addressField(match.side), 'protocol', portField(match.side)];
        return [this.#ipSet(fields, match.set, match.negate ?? false)];
      }
      case 'icmp-type':
        return [icmp('icmp-type', match.type, match.negate ?? false)];
      case 'icmp-type-code':
        return this.#icmpTypeCode(match.type, match.code, match.negate ?? false);
      case 'interface-prefix':
        return [
          {
            kind: 'prefix',
            field: interfaceField(match.side),
            prefix: match.prefix,
            negate: match.negate ?? false,
          },
        ];
      case 'interface':
        return [
          {
            kind: 'equal',
            field: interfaceField(match.side),
            value: match.name,
            negate: match.negate ?? false,
          },
        ];
      case 'connection':
        return [
          {
            kind: 'ct-state',
            states: match.state === 'established' ? ['established', 'related'] : ['invalid'],
          },
        ];
      case 'mark':
        return [{ kind: 'mark-test', mask: markBits[match.mark], value: markBits[match.mark] }];
      default:
        return assertNever(match);
    }
  }

  #ipSet(fields: readonly Field[], set: IpSetId, negate: boolean): Statement {
    this.ipSets.add(set);
    return { kind: 'lookup', fields, set: this.#setNames.nameOf(set), negate };
  }

  #anySet(field: 'saddr' | 'daddr', sets: readonly IpSetId[]): Statement {
    const [only] = sets;
    if (only !== undefined && sets.length === 1) return this.#ipSet([field], only, false);
    for (const set of sets) this.ipSets.add(set);
    const name = chainName('su', '', sets);
    this.unions.set(name, sets);
    return { kind: 'lookup', fields: [field], set: name };
  }

  #nets(field: 'saddr' | 'daddr', nets: readonly Cidr[], negate: boolean): Statement {
    const [only] = nets;
    if (only && nets.length === 1) {
      if (isHost(only)) return { kind: 'equal', field, value: addressOf(only), negate };
      return { kind: 'cidr', field, cidr: only, negate };
    }
    const set = this.#constantSet(withoutNested(nets).map(memberText), { key: ['address'], interval: true });
    return { kind: 'lookup', fields: [field], set, negate };
  }

  #ports(field: 'sport' | 'dport', ports: readonly PortRange[], negate: boolean): Statement {
    const ranges = unionOfRanges(ports);
    const [only] = ranges;
    if (only && ranges.length === 1) {
      const { first, last } = only;
      if (first === last) return { kind: 'equal', field, value: String(first), negate };
      return { kind: 'range', field, first: String(first), last: String(last), negate };
    }
    const set = this.#constantSet(ranges.map(portsText), { key: ['port'], interval: true });
    return { kind: 'lookup', fields: [field], set, negate };
  }

  /** Type and code are looked up together, so that "not this type with this code" is one statement. */
  #icmpTypeCode(type: number, code: number, negate: boolean): Statement[] {
    if (!negate) return [icmp('icmp-type', type, false), icmp('icmp-code', code, false)];
    // the first two bytes of the ICMP header, read as one number: RFC 792, RFC 4443 section 2.1
    return [{ kind: 'equal', field: 'sport', value: String(type * 256 + code), negate }];
  }

  /** Named by its content, hence shared by all rules of the family that list the same. */
  #constantSet(keys: readonly string[], spec: SetSpec): string {
    const sorted = keys.toSorted();
    const name = chainName('l', '', [...spec.key, ...sorted]);
    this.sets.set(name, { spec, elements: sorted.map((key) => ({ key })) });
    return name;
  }
}

/** As the kernel's sets want members: a host without its length. */
export function memberText(cidr: Cidr): string {
  return isHost(cidr) ? addressOf(cidr) : cidr;
}

/** Interval sets refuse members that overlap; nested is the only way in which CIDRs can. */
function withoutNested(nets: readonly Cidr[]): readonly Cidr[] {
  const kept: { cidr: Cidr; last: bigint }[] = [];
  const ranged = [...new Set(nets)].map((cidr) => ({ cidr, ...cidrRange(cidr) }));
  // shorter prefixes first at one start: whatever begins inside the one before lies inside it
  ranged.sort((a, b) => (a.first === b.first ? (a.last > b.last ? -1 : 1) : a.first < b.first ? -1 : 1));
  for (const { cidr, first, last } of ranged) {
    const before = kept.at(-1);
    if (!before || first > before.last) kept.push({ cidr, last });
  }
  return kept.map(({ cidr }) => cidr);
}

function portsText(ports: PortRange): string {
  return ports.first === ports.last ? String(ports.first) : `${ports.first}-${ports.last}`;
}

function addressField(side: Side): 'saddr' | 'daddr' {
  return side === 'src' ? 'saddr' : 'daddr';
}

function portField(side: Side): 'sport' | 'dport' {
  return side === 'src' ? 'sport' : 'dport';
}

function interfaceField(side: Side): 'iifname' | 'oifname' {
  return side === 'src' ? 'iifname' : 'oifname';
}

function icmp(field: 'icmp-type' | 'icmp-code', value: number, negate: boolean): Statement {
  return { kind: 'equal', field, value: String(value), negate };
}

function actionStatements(action: Action): Statement[] {
  switch (action.kind) {
    case 'accept':
    case 'drop':
    case 'return':
      return [{ kind: 'verdict', verdict: { kind: action.kind } }];
    case 'jump':
    case 'goto':
      return [{ kind: 'verdict', verdict: { kind: action.kind, chain: action.chain } }];
    case 'log':
      return [{ kind: 'log', prefix: logPrefix(action.prefix) }];
    case 'set-mark':
      return [{ kind: 'mark-set', mask: markBits[action.mark], value: markBits[action.mark] }];
    case 'clear-mark':
      return [{ kind: 'mark-set', mask: markBits[action.mark], value: 0 }];
    case 'dispatch':
      return [{ kind: 'vmap', fields: [interfaceField(action.side)], map: action.map }];
    case 'untrack':
      return [{ kind: 'notrack' }];
    default:
      return assertNever(action);
  }
}

/** NF_LOG_PREFIXLEN is 128 with its NUL, include/uapi/linux/netfilter/nf_log.h; keep the end, which ends in ": ". */
function logPrefix(prefix: string): string {
  return prefix.length <= 120 ? prefix : `${prefix.slice(0, 118)}: `;
}
