// SPDX-License-Identifier: Apache-2.0
/** Policy tests run: each case against the cluster that its manifests make, compiled once. */
import { type Fault, InvalidError, NotFoundError } from '../lib/errors.ts';
import type { Decider } from '../observe/decider.ts';
import { decidersOf } from '../observe/decider.ts';
import { withStaged } from '../observe/tier-view.ts';
import type { Expectation, MatrixCase, PolicyCase } from './case-file.ts';
import { decidersText } from './decider-text.ts';
import type { Cluster } from './evaluators/cluster.ts';
import { pairVerdicts } from './evaluators/pair-verdicts.ts';
import { explainBetween, type LocatedExplanation } from './evaluators/policy-eval.ts';
import { explanationText } from './explanation.ts';

export interface CaseResult {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** As the packet has it; null: without. */
  readonly port: number | null;
  readonly expect: string;
  readonly found: string;
  /** Who decided. */
  readonly by: string;
  /** What was wanted and what was found, one line for each difference; empty: passed. */
  readonly problems: readonly string[];
  /** For people, when it failed. */
  readonly explanation: string;
}

/** Pods and nodes that cases name and that are not there, or ports that mean nothing: each with its place. */
export class CaseFaults {
  readonly invalid: Fault[] = [];
  readonly missing: Fault[] = [];

  /** @throws whatever is no fault of the case. */
  guard<T>(
    file: string,
    { line, column }: { readonly line: number; readonly column: number },
    run: () => T,
  ): T | null {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof InvalidError || error instanceof NotFoundError)) throw error;
      const list = error instanceof NotFoundError ? this.missing : this.invalid;
      list.push({ path: '', message: error.message, file, line, column });
      return null;
    }
  }
}

export function runCase(cluster: Cluster, file: string, test: PolicyCase): CaseResult {
  const { from, to, port, protocol, ipVersion, line, name, expect } = test;
  const explanation = explainBetween(cluster, { from, to, port, protocol, ipVersion });
  const problems = problemsOf(test, explanation);
  return {
    file,
    line,
    name,
    from,
    to,
    port: explanation.packet.dstPort ?? null,
    expect: [expect, ...(test.by === undefined ? [] : [`by ${test.by}`])].join(' '),
    found: verdictOf(explanation),
    by: decidersText(decidersOf(explanation)),
    problems,
    explanation: problems.length === 0 ? '' : explanationText(explanation, from, to),
  };
}

function problemsOf({ expect, by, staged }: PolicyCase, explanation: LocatedExplanation): readonly string[] {
  const problems: string[] = [];
  const deciders = decidersOf(explanation);
  const found = verdictOf(explanation);
  const isVerdict = found === expect;
  const isDecider = by === undefined || deciders.some((decider) => isNamed(decider, by));
  if (!isVerdict || !isDecider) {
    const wanted = by === undefined ? expect : `${expect} by ${by}`;
    problems.push(`want ${wanted}, got ${found} by ${decidersText(deciders)}`);
  }
  const pending = explanation.pending ?? explanation;
  if (staged !== undefined && verdictOf(pending) !== staged) {
    const decided = `${verdictOf(pending)} by ${decidersText(decidersOf(pending))}`;
    problems.push(`with staged policies in force: want ${staged}, got ${decided}`);
  }
  return problems;
}

function verdictOf({ allowed }: { readonly allowed: boolean }): Expectation {
  return allowed ? 'allow' : 'deny';
}

/** A policy by its path or the end of it (`NetworkPolicy/shop/db`, `shop/db`, `db`), a tier or a profile by name. */
function isNamed({ by }: Decider, text: string): boolean {
  switch (by.at) {
    case 'rule':
      return (
        by.tier === text || isPolicy(by.policy, text) || isPolicy(by.policy.replace(/^Kubernetes/, ''), text)
      );
    case 'end-of-tier':
      return by.tier === text;
    case 'profile-rule':
    case 'missing-profile':
      return by.profile === text;
    case 'failsafe':
      return text === 'failsafe';
    case 'gate':
      return text === by.reason;
    case 'end':
      return false;
    default:
      return by satisfies never;
  }
}

function isPolicy(path: string, text: string): boolean {
  return path === text || path.endsWith(`/${text}`);
}

/** @throws {NotFoundError} when a pattern names no pod. */
export function runMatrix(cluster: Cluster, file: string, test: MatrixCase): CaseResult {
  const all = [...cluster.state.endpoints.values()].map((endpoint) => endpoint.name).sort();
  const names = matching(all, test.pods);
  const wanted = new Map(names.map((name) => [name, new Set<string>()]));
  for (const { from, to } of test.allow) {
    for (const source of matching(names, [from]))
      for (const destination of matching(names, to)) wanted.get(source)?.add(destination);
  }
  const packet = { port: test.port, protocol: test.protocol, ipVersion: test.ipVersion };
  const verdicts = pairVerdicts(cluster, names, packet, test.staged ? withStaged : undefined);
  const problems: string[] = [];
  for (const [i, from] of names.entries()) {
    for (const [j, to] of names.entries()) {
      const expect = wanted.get(from)?.has(to) ?? false;
      if (i === j || verdicts.allowed(i, j) === expect) continue;
      const decided = decidersText(verdicts.deciders(i, j));
      problems.push(
        `${from} -> ${to}: want ${verdictOf({ allowed: expect })}, got ${verdictOf({ allowed: !expect })} by ${decided}`,
      );
    }
  }
  const { line, name } = test;
  const pairs = names.length * (names.length - 1);
  const about = { file, line, name, from: `${names.length} pods`, to: `${names.length} pods` };
  return {
    ...about,
    port: verdicts.port,
    expect: 'as listed',
    found: problems.length === 0 ? `all ${pairs} pairs` : `${problems.length} of ${pairs} pairs differ`,
    by: '-',
    problems,
    explanation: '',
  };
}

/** `shop/web`, `shop/*`, `*`. @throws {NotFoundError} for one that matches nothing. */
function matching(names: readonly string[], patterns: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : null;
    const hits = names.filter((name) => (prefix === null ? name === pattern : name.startsWith(prefix)));
    if (hits.length === 0) throw new NotFoundError(`no pod ${pattern}`);
    for (const hit of hits) found.add(hit);
  }
  return names.filter((name) => found.has(name));
}
