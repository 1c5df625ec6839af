// SPDX-License-Identifier: Apache-2.0
/**
 * The second layer of "closed", in another subsystem of the kernel: nftables drops what comes from or goes to a workload by way
 * of the stack without the mark that our programs set. Should someone take the programs off, links close; they do not open.
 *
 * Invariants: the tables are ours by the owner's flag where the kernel has it (Linux 6.9); they outlive us; a stranger's change is put back.
 */
import type { ActualChain, BaseHook, NftOp, NftRule, Statement } from '../../kernel/nft/model.ts';
import { NftSocket } from '../../kernel/nft/socket.ts';
import { fingerprint } from '../../kernel/nft/userdata.ts';
import { kernelAtLeast } from '../../kernel/release.ts';
import { markBits } from '../../rules/chain.ts';

const tableName = 'muslin';
const families = [4, 6] as const;

interface GateChain {
  readonly name: string;
  readonly hook: BaseHook;
  readonly rules: readonly NftRule[];
}

export class Gate implements Disposable {
  readonly #socket = new NftSocket();
  readonly #chains: readonly GateChain[];
  readonly #ours = new Set<4 | 6>();
  #stale = true;

  /** In the network namespace of the calling thread. @throws {KernelError} */
  constructor(interfacePrefix: string, onStrangersChange: (reason: string) => void) {
    this.#chains = chains(interfacePrefix);
    const changed = (reason: string) => {
      this.#stale = true;
      onStrangersChange(reason);
    };
    this.#socket.watch(
      tableName,
      () => changed('nftables was changed by someone else'),
      () => changed('events of nftables were lost'),
    );
  }

  queueResync(): void {
    this.#stale = true;
  }

  /** @returns how many tables had to be written. @throws {NftError} */
  apply(): number {
    if (!this.#stale) return 0;
    const changed = families.filter((family) => this.#applyTo(family)).length;
    this.#stale = false;
    return changed;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #applyTo(family: 4 | 6): boolean {
    const table = { family, name: tableName };
    const actual = this.#socket.read(table);
    const isAsWanted = actual !== null && actual.sets.size === 0 && this.#agrees(actual.chains, family);
    const add: NftOp = { op: 'add-table', table, owned: kernelAtLeast(6, 9) };
    // an orphaned table is taken over by a transaction of its own: nf_tables_addchain, EINVAL
    if (actual && !this.#ours.has(family)) this.#socket.commit([add]);
    this.#ours.add(family);
    if (isAsWanted) return false;
    this.#socket.commit([
      add,
      { op: 'delete-table', table },
      add,
      ...this.#chains.flatMap(({ name, hook, rules }): NftOp[] => [
        { op: 'add-chain', table, chain: name, hook },
        ...rules.map((rule): NftOp => ({ op: 'add-rule', table, chain: name, rule })),
      ]),
    ]);
    return true;
  }

  #agrees(actual: ReadonlyMap<string, ActualChain>, family: 4 | 6): boolean {
    const wanted = this.#chains.map(({ name, hook, rules }) =>
      chainText(
        name,
        hook,
        rules.map((rule) => fingerprint(rule, family)),
      ),
    );
    const found = [...actual].map(([name, { hook, rules }]) => chainText(name, hook, rules));
    return found.sort().join('\n') === wanted.sort().join('\n');
  }
}

function chainText(name: string, hook: BaseHook | null, rules: readonly (string | null)[]): string {
  const place = hook ? [hook.type, hook.hook, hook.priority, hook.policy] : [];
  return [name, ...place, ...rules].join(' ');
}

function chains(prefix: string): readonly GateChain[] {
  const drop = (field: 'iifname' | 'oifname'): NftRule => ({
    statements: [{ kind: 'prefix', field, prefix }, unmarked, { kind: 'verdict', verdict: { kind: 'drop' } }],
    comment: 'no eBPF program let it pass',
  });
  return [
    { name: 'g-forward', hook: hook('forward'), rules: [drop('iifname'), drop('oifname')] },
    { name: 'g-input', hook: hook('input'), rules: [drop('iifname')] },
  ];
}

/** What was let in as the host's own and then led to a workload by the host's rules, the program at the workload's link judges. */
const unmarked: Statement = {
  kind: 'mark-test',
  mask: markBits.accepted | markBits['to-host'],
  value: 0,
};

function hook(name: BaseHook['hook']): BaseHook {
  return { type: 'filter', hook: name, priority: 0, policy: 'accept' };
}
