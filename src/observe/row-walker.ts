// SPDX-License-Identifier: Apache-2.0
import type {
  Direction,
  IpFamily,
  ResolvedEndpoint,
  ResolvedRule,
  ResolvedTier,
} from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { assertNever } from '../lib/errors.ts';
import { and, type BitRow, emptyRow, hasBit, isEmpty, move, or, rowWhere } from './bit-row.ts';
import type { DataplaneState } from './dataplane-state.ts';
import type { DecidedBy } from './decider.ts';
import { headGate } from './evaluate.ts';
import type { MatrixProbe, RowRule, RuleRows } from './rule-rows.ts';
import type { TierView } from './tier-view.ts';

/** What one rule, or one end of a list, decides for some of an endpoint's peers. */
export interface RowDecision {
  readonly verdict: 'allow' | 'deny';
  readonly by: DecidedBy;
  readonly peers: BitRow;
}

type Listener = (decision: RowDecision) => void;

/** The peers of one endpoint on their way through its lists. */
interface Walk {
  readonly self: number;
  readonly direction: Direction;
  undecided: BitRow;
  readonly allowed: BitRow;
  passed: BitRow;
  readonly onDecision: Listener | undefined;
}

/** Walks tiers and profiles of one endpoint after the other; rules are prepared once for the probe. */
export class RowWalker {
  readonly #state: DataplaneState;
  readonly #rows: RuleRows;
  readonly #probe: MatrixProbe & { readonly ipVersion: IpFamily };
  readonly #count: number;
  readonly #view: TierView;
  readonly #rules = new Map<string, readonly RowRule[]>();

  constructor(
    state: DataplaneState,
    rows: RuleRows,
    probe: MatrixProbe & { readonly ipVersion: IpFamily },
    count: number,
    view: TierView,
  ) {
    this.#state = state;
    this.#rows = rows;
    this.#probe = probe;
    this.#count = count;
    this.#view = view;
  }

  /**
   * The peers that the endpoint may send to (egress) or hear from (ingress).
   *
   * @param onDecision - hears who decided for whom; without it nothing is noted, and the walk is quicker.
   */
  allowedPeers(
    endpoint: ResolvedEndpoint,
    self: number,
    direction: Direction,
    onDecision?: Listener,
  ): BitRow {
    const undecided = rowWhere(this.#count, () => true);
    const [allowed, passed] = [emptyRow(this.#count), emptyRow(this.#count)];
    const walk: Walk = { self, direction, undecided, allowed, passed, onDecision };
    const closed = direction === 'egress' ? this.#gate() : null;
    if (closed) deny(walk, closed);
    for (const tier of closed ? [] : this.#view(endpoint.tiers)) this.#tier(walk, tier);
    for (const name of closed ? [] : endpoint.profiles) this.#profile(walk, name);
    deny(walk, { at: 'end' });
    return allowed;
  }

  #gate(): DecidedBy | null {
    const { port: dstPort, ...head } = this.#probe;
    const closed = headGate({ ...head, ...(dstPort === undefined ? {} : { dstPort }) }, this.#state.config);
    return closed && { at: 'gate', reason: closed.reason };
  }

  #tier(walk: Walk, tier: ResolvedTier): void {
    const { direction } = walk;
    if (tier[direction].length === 0) return;
    for (const policy of tier[direction]) {
      const by = (rule: number): DecidedBy => ({ at: 'rule', tier: tier.name, policy, rule });
      if (!this.#walk(walk, this.#policyRules(policy, direction), by)) break;
    }
    if (tier.defaultAction === 'pass') or(walk.passed, walk.undecided);
    else deny(walk, { at: 'end-of-tier', tier: tier.name, policies: tier[direction] });
    walk.undecided = walk.passed;
    walk.passed = emptyRow(this.#count);
  }

  #profile(walk: Walk, profile: string): void {
    if (this.#state.profile(profile).missing) return deny(walk, { at: 'missing-profile', profile });
    const by = (rule: number): DecidedBy => ({ at: 'profile-rule', profile, rule });
    this.#walk(walk, this.#profileRules(profile, walk.direction), by);
    or(walk.undecided, walk.passed);
    walk.passed = emptyRow(this.#count);
  }

  /** @returns whether any peer is left undecided. */
  #walk(walk: Walk, rules: readonly RowRule[], by: (rule: number) => DecidedBy): boolean {
    const { self, direction, undecided, allowed, passed, onDecision } = walk;
    for (const rule of rules) {
      const [own, peers] = direction === 'ingress' ? [rule.dst, rule.src] : [rule.src, rule.dst];
      if (!hasBit(own, self)) continue;
      if (onDecision && rule.action !== 'pass') {
        const decided = { ...by(rule.index), ...(rule.origin ? { origin: rule.origin } : {}) };
        tell(onDecision, rule.action, decided, undecided, peers);
      }
      if (!move(undecided, peers, destinationOf(rule.action, allowed, passed))) return false;
    }
    return true;
  }

  #policyRules(id: KeyPath, direction: Direction): readonly RowRule[] {
    return this.#prepared(`policy ${direction} ${id}`, () => this.#state.policy(id)[direction]);
  }

  #profileRules(name: string, direction: Direction): readonly RowRule[] {
    return this.#prepared(`profile ${direction} ${name}`, () => this.#state.profile(name)[direction]);
  }

  #prepared(key: string, rules: () => readonly ResolvedRule[]): readonly RowRule[] {
    const known = this.#rules.get(key);
    if (known) return known;
    const prepared = this.#rows.forProbe(rules(), this.#probe);
    this.#rules.set(key, prepared);
    return prepared;
  }
}

/** Of all that nobody decided. */
function deny(walk: Walk, by: DecidedBy): void {
  if (walk.onDecision) tell(walk.onDecision, 'deny', by, walk.undecided, walk.undecided);
  walk.undecided.fill(0);
}

function tell(listener: Listener, verdict: 'allow' | 'deny', by: DecidedBy, row: BitRow, mask: BitRow): void {
  const peers = row.slice();
  and(peers, mask);
  if (!isEmpty(peers)) listener({ verdict, by, peers });
}

function destinationOf(action: RowRule['action'], allowed: BitRow, passed: BitRow): BitRow | null {
  switch (action) {
    case 'allow':
      return allowed;
    case 'pass':
      return passed;
    case 'deny':
      return null;
    default:
      return assertNever(action);
  }
}
