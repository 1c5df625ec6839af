// SPDX-License-Identifier: Apache-2.0
/**
 * The nftables data plane: messages to rules of the tables `ip muslin` and `ip6 muslin`, guards and routes.
 *
 * Owns:       both tables, the routes with protocol 80, the guards at workloads' links.
 * Takes in:   DataplaneMessages; events of links, routes and nftables. Gives out: a report per apply.
 * Invariants: one transaction per apply for both families: packets meet the old policy or the new one;
 *             a link is opened only when its policy is in force and closed before it is taken away;
 *             a restart reads back, changes what differs and touches nothing else; a second apply sends nothing;
 *             one refused object closes what depends on it and is reported; the rest is programmed.
 * Next:       ruleset.ts (what is wanted), tables.ts (the difference), ../linux for routes and guards,
 *             kernel/nft/socket.ts for the transaction.
 */
import { dirname } from 'node:path';
import type {
  ApplyFailure,
  ApplyReport,
  DataplaneDriver,
  DataplaneMessage,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
} from '../../contract/dataplane.ts';
import { isBpffs, mountBpffs } from '../../kernel/bpf/bpffs.ts';
import { Guard } from '../../kernel/guard.ts';
import { enableForwarding } from '../../kernel/harden.ts';
import type { NftOp } from '../../kernel/nft/model.ts';
import { NftError, NftSocket } from '../../kernel/nft/socket.ts';
import { kernelAtLeast } from '../../kernel/release.ts';
import type { IfName, KeyPath } from '../../lib/brand.ts';
import { markBits } from '../../rules/chain.ts';
import { Guards } from '../linux/guards.ts';
import { hostClaims, noClaims } from '../linux/host-claims.ts';
import { NodeNetwork } from '../linux/node-network.ts';
import { FamilyRuleset, tableName } from './ruleset.ts';

export interface NftablesOptions {
  /** The first letters of every workload's interface on the host. */
  readonly interfacePrefix: string;
  /** Folder on a BPF file system, of this network namespace alone. */
  readonly bpf: string;
}

/** A commit is one non-preemptible stretch in the kernel; members of sets that nobody reads yet go ahead in parts. */
const elementsPerTransaction = 5000;
/** Each try quarantines one more object; past this the transaction as such is at fault. */
const maximumTries = 50;
/** Nothing tells of a detached tcx program: ask. */
const guardPollMs = 500;
/** Nor of a changed sysctl; a round costs a dozen small reads per link. */
const hardenEveryPolls = 10;

export class NftablesDriver implements DataplaneDriver {
  readonly name = 'nftables';
  readonly #families: readonly FamilyRuleset[];
  readonly #nft: NftSocket;
  readonly #network: NodeNetwork;
  readonly #guards: Guards;
  readonly #endpoints = new Map<KeyPath, ResolvedEndpoint>();
  readonly #hostEndpoints = new Map<KeyPath, ResolvedHostEndpoint>();
  readonly #interfacePrefix: string;
  readonly #poll: NodeJS.Timeout;
  #listener: (reason: string) => void = () => {};
  /** Families whose table this driver's socket owns. */
  readonly #ours = new Set<4 | 6>();
  #stale = true;
  #polls = 0;
  /** The first apply was done. */
  #inForce = false;

  /** In the network namespace of the calling thread, for good. @throws {KernelError} */
  constructor(options: NftablesOptions) {
    this.#interfacePrefix = options.interfacePrefix;
    this.#families = ([4, 6] as const).map((family) => new FamilyRuleset(family, options));
    this.#nft = new NftSocket();
    this.#network = new NodeNetwork((reason) => this.#listener(reason));
    if (!isBpffs(dirname(options.bpf))) mountBpffs(dirname(options.bpf));
    this.#guards = new Guards(new Guard(options.bpf), this.#network.interfaces, options.interfacePrefix);
    this.#nft.watch(
      tableName,
      () => this.#strangersChange('nftables was changed by someone else'),
      () => this.#strangersChange('events of nftables were lost'),
    );
    this.#poll = setInterval(() => this.#pollGuards(), guardPollMs).unref();
  }

  /** nf_tables and bpf(2) themselves are there: the constructor has used them. */
  async probe(): Promise<readonly string[]> {
    return [...(kernelAtLeast(6, 9) ? [] : ['nftables tables that outlive their owner (Linux 6.9)'])];
  }

  onMessage(message: DataplaneMessage): void {
    for (const family of this.#families) family.onMessage(message);
    this.#network.onMessage(message);
    if (message.kind === 'endpoint-update') this.#endpoints.set(message.id, message.endpoint);
    if (message.kind === 'endpoint-remove') this.#endpoints.delete(message.id);
    if (message.kind === 'host-endpoint-update') this.#hostEndpoints.set(message.id, message.endpoint);
    if (message.kind === 'host-endpoint-remove') this.#hostEndpoints.delete(message.id);
  }

  queueResync(_reason: string): void {
    this.#stale = true;
    this.#guards.forget();
    this.#network.queueResync();
  }

  onStrangersChange(listener: (reason: string) => void): void {
    this.#listener = listener;
  }

  async apply(): Promise<ApplyReport> {
    enableForwarding();
    this.#network.hear();
    if (this.#stale) this.#readBack();
    this.#claim();
    for (const family of this.#families) family.render();
    const closing = this.#guards.closeOthers(this.#mayBeOpen());
    const rules = this.#commitRules();
    const routes = this.#network.apply();
    const inForce = rules.failed.every((failure) => failure.key !== allRules);
    const mayBeOpen = this.#mayBeOpen();
    this.#wishGuards(mayBeOpen, inForce);
    const refused = this.#guards.closeOthers(mayBeOpen);
    const opening = this.#guards.openWished();
    this.#inForce = true;
    const parts = [closing, rules, routes, refused, opening];
    return {
      changed: parts.reduce((sum, part) => sum + part.changed, 0),
      failed: parts.flatMap((part) => part.failed),
      openEndpoints: [...this.#endpoints].filter(([, e]) => this.#guards.isOpen(e.ifName)).map(([id]) => id),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll);
    this.#network[Symbol.dispose]();
    this.#nft[Symbol.dispose]();
  }

  #readBack(): void {
    for (const family of this.#families) {
      const hadQuarantine = family.table.quarantined().size > 0;
      family.table.replaceActual(this.#nft.read(family.table.table));
      if (hadQuarantine) family.rerenderAll();
    }
    this.#stale = false;
  }

  #claim(): void {
    const claims =
      this.#hostEndpoints.size === 0
        ? noClaims
        : hostClaims(this.#hostEndpoints, this.#network.interfaces.addresses(), this.#interfacePrefix);
    for (const family of this.#families) family.setClaims(claims);
  }

  #mayBeOpen(): ReadonlySet<IfName> {
    const open = [...this.#endpoints].filter(
      ([id, endpoint]) => endpoint.adminUp && this.#closedBecause(id) === null,
    );
    return new Set(open.map(([, endpoint]) => endpoint.ifName));
  }

  /** While the rules could not be put in force, links that are open stay so, under the rules of before; no other opens. */
  #wishGuards(mayBeOpen: ReadonlySet<IfName>, inForce: boolean): void {
    for (const name of this.#network.interfaces.names())
      if (!mayBeOpen.has(name)) this.#guards.wishClosed(name);
    for (const { ifName, addresses } of inForce ? this.#endpoints.values() : []) {
      if (mayBeOpen.has(ifName)) this.#guards.wishOpen(ifName, { addresses, markBit: markBits.accepted });
    }
  }

  #closedBecause(id: KeyPath): string | null {
    for (const family of this.#families) {
      const reason = family.closedBecause(id);
      if (reason !== null) return reason;
    }
    return null;
  }

  #commitRules(): { changed: number; failed: ApplyFailure[] } {
    try {
      this.#takeOver();
      this.#fillNewSets();
      const changed = this.#commitAll();
      for (const { family } of this.#families) this.#ours.add(family);
      return { changed, failed: this.#families.flatMap(quarantineFailures) };
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      this.#stale = true;
      const failure = { table: 'nftables', key: allRules, message: error.message };
      return { changed: 0, failed: [failure, ...this.#families.flatMap(quarantineFailures)] };
    }
  }

  /**
   * Tables that a driver before this one left are made ours first, also when nothing of them differs. A transaction of
   * its own, as one that takes an orphaned table over may add no base chain (nf_tables_addchain: EINVAL).
   */
  #takeOver(): void {
    for (const { family, table } of this.#families) {
      if (this.#ours.has(family)) continue;
      this.#nft.commit(table.takeOverOperations());
    }
  }

  #fillNewSets(): void {
    for (const { table } of this.#families) {
      const [first, ...rest] = table.fillOperations(elementsPerTransaction);
      if (!first) continue;
      this.#nft.commit([first]);
      for (const op of rest) {
        this.#nft.commit([op]);
        if (op.op === 'add-elements') table.confirmFilled(op.set, op.spec, op.elements);
      }
    }
  }

  /** Both families at once; a refused object is quarantined and the rest tried again. */
  #commitAll(): number {
    for (let tries = 1; ; tries++) {
      const ops = this.#families.flatMap((family) => family.table.operations());
      if (ops.length === 0) return 0;
      try {
        this.#nft.commit(ops);
        for (const family of this.#families) family.table.confirm();
        return ops.length;
      } catch (error) {
        if (!(error instanceof NftError) || tries === maximumTries || !this.#quarantine(error, ops))
          throw error;
      }
    }
  }

  #quarantine(error: NftError, ops: readonly NftOp[]): boolean {
    const op = error.opIndex === null ? undefined : ops[error.opIndex];
    const family = this.#families.find((candidate) => candidate.family === op?.table.family);
    const object = op && ('chain' in op ? op.chain : 'set' in op ? op.set : null);
    return object ? (family?.table.quarantine(object, error.message) ?? false) : false;
  }

  #strangersChange(reason: string): void {
    this.#stale = true;
    this.#listener(reason);
  }

  #hardenAgain(): void {
    if (!this.#inForce) return; // nothing is written before the first apply
    enableForwarding();
    this.#guards.hardenAgain();
  }

  #pollGuards(): void {
    if (++this.#polls % hardenEveryPolls === 0) this.#hardenAgain();
    const changed = this.#guards.changed();
    if (changed === null) return;
    this.#guards.forget();
    this.#listener(`the guard of ${changed} was changed by someone else`);
  }
}

/** The key of a failure that concerns every rule: the kernel keeps what it has, new endpoints stay closed. */
const allRules = 'all rules';

function quarantineFailures(family: FamilyRuleset): ApplyFailure[] {
  return [...family.table.quarantined()].map(([key, message]) => ({
    table: `nftables IPv${family.family}`,
    key,
    message,
  }));
}
