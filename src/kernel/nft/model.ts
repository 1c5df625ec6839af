// SPDX-License-Identifier: Apache-2.0
/**
 * What Muslin says to nftables: one model that is encoded for the kernel (encode.ts) and printed as nft text (text.ts).
 *
 * Owns:       the vocabulary of tables, chains, sets, verdict maps, rules and the operations of a transaction.
 * Takes in:   nothing; types and two small constructors.
 * Gives out:  NftOp, the closed union that encode.ts and text.ts each treat in full.
 * Invariants: a statement says what nft(8) says, not how registers hold it; names are safe for nft's grammar
 *             (letters, digits, `_`, `-`, `.`; never a keyword, as each has a prefix with a hyphen).
 * Next:       socket.ts commits transactions and reads tables back; decode.ts reads what it got.
 */
import type { Family } from '../../lib/address.ts';

export type TableFamily = Family;

/** One transaction's steps, in order; the kernel takes all or none. */
export type NftOp =
  /** `owned`: only the socket that made it may change it (NFT_TABLE_F_OWNER, 5.12) and it outlives that socket (PERSIST, 6.9). */
  | { readonly op: 'add-table'; readonly table: TableRef; readonly owned: boolean }
  | { readonly op: 'delete-table'; readonly table: TableRef }
  | { readonly op: 'add-chain'; readonly table: TableRef; readonly chain: string; readonly hook?: BaseHook }
  | { readonly op: 'flush-chain'; readonly table: TableRef; readonly chain: string }
  | { readonly op: 'delete-chain'; readonly table: TableRef; readonly chain: string }
  | { readonly op: 'add-rule'; readonly table: TableRef; readonly chain: string; readonly rule: NftRule }
  | { readonly op: 'add-set'; readonly table: TableRef; readonly set: string; readonly spec: SetSpec }
  | { readonly op: 'delete-set'; readonly table: TableRef; readonly set: string }
  | {
      readonly op: 'add-elements';
      readonly table: TableRef;
      readonly set: string;
      readonly spec: SetSpec;
      readonly elements: readonly Element[];
    }
  | {
      readonly op: 'delete-elements';
      readonly table: TableRef;
      readonly set: string;
      readonly spec: SetSpec;
      readonly elements: readonly Element[];
    };

export interface TableRef {
  readonly family: TableFamily;
  readonly name: string;
}

export interface BaseHook {
  readonly type: 'filter' | 'nat';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

/** What a set is keyed by. Order matters in concatenations. */
export type KeyField = 'address' | 'protocol' | 'port' | 'ifname';

export interface SetSpec {
  readonly key: readonly KeyField[];
  /** Members may be ranges: an interval tree, or pipapo for concatenations. */
  readonly interval: boolean;
  /** Present for verdict maps. */
  readonly map?: 'verdict';
}

/**
 * Key text: fields joined by ` . `; an address or CIDR, a protocol number, a port or `first-last`, an interface name.
 * A host is written without `/32`; ranges only where the set has intervals.
 */
export interface Element {
  readonly key: string;
  readonly verdict?: Verdict;
}

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

/** Packet and meta fields that statements read. `port` fields are the transport header's. */
export type Field =
  | 'saddr'
  | 'daddr'
  | 'protocol'
  | 'sport'
  | 'dport'
  | 'iifname'
  | 'oifname'
  | 'icmp-type'
  | 'icmp-code';

export type Statement =
  | { readonly kind: 'equal'; readonly field: Field; readonly value: string; readonly negate?: boolean }
  | {
      readonly kind: 'range';
      readonly field: Field;
      readonly first: string;
      readonly last: string;
      readonly negate?: boolean;
    }
  /** `field` starts with `prefix`; for interface names. */
  | {
      readonly kind: 'prefix';
      readonly field: 'iifname' | 'oifname';
      readonly prefix: string;
      readonly negate?: boolean;
    }
  | {
      readonly kind: 'cidr';
      readonly field: 'saddr' | 'daddr';
      readonly cidr: string;
      readonly negate?: boolean;
    }
  | {
      readonly kind: 'lookup';
      readonly fields: readonly Field[];
      readonly set: string;
      readonly negate?: boolean;
    }
  | { readonly kind: 'vmap'; readonly fields: readonly Field[]; readonly map: string }
  | { readonly kind: 'ct-state'; readonly states: readonly CtState[]; readonly negate?: boolean }
  /** `(mark & mask) == value`. */
  | { readonly kind: 'mark-test'; readonly mask: number; readonly value: number }
  /** Sets the bits of `value`, clears those of `mask` that `value` lacks, keeps the rest. */
  | { readonly kind: 'mark-set'; readonly mask: number; readonly value: number }
  | { readonly kind: 'counter' }
  /** Connection tracking does not see the packet; before it alone (priority below -200). */
  | { readonly kind: 'notrack' }
  | { readonly kind: 'log'; readonly prefix: string }
  | { readonly kind: 'verdict'; readonly verdict: Verdict };

export type CtState = 'invalid' | 'established' | 'related' | 'new' | 'untracked';

export interface NftRule {
  readonly statements: readonly Statement[];
  /** At most 120 bytes; shown by `nft list` and by explain. */
  readonly comment?: string;
}

/** A chain as it is in the kernel, its rules by fingerprint (userdata.ts); a stranger's rule has none. */
export interface ActualChain {
  readonly hook: BaseHook | null;
  readonly rules: readonly (string | null)[];
}

export interface ActualSet {
  readonly spec: SetSpec;
  readonly elements: readonly Element[];
}

export interface ActualTable {
  readonly chains: ReadonlyMap<string, ActualChain>;
  readonly sets: ReadonlyMap<string, ActualSet>;
}

export function verdictText(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

export const familyName: { readonly [F in TableFamily]: string } = { 4: 'ip', 6: 'ip6' };
