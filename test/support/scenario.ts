// SPDX-License-Identifier: Apache-2.0
/**
 * Scenarios: a script, its manifests and what it expects in one text file.
 *
 *     lab nodes=N                                            first; @defaultValue 1
 *     apply FILE                                             with the user's own command, which waits until it is enforced
 *     delete KIND NAME...
 *     expect-flow A -> B:PORT[/udp] allowed|denied [by WHAT] measured with packets in every family that both have
 *     expect-flow A -> B/icmp allowed|denied [by WHAT]
 *     expect-address POD ADDRESS...
 *     expect-output ARGUMENT... ~ WORD...                    the user's own command prints these words in this order on one line
 *     expect-rules NODE FILE                                 chains of `nft list table ip muslin`, hashes in names as *; with
 *                                                            nftables alone
 *     -- FILE --                                             from here to the next such line: a file
 *
 * A and B are Pods, `NAME` in the default namespace or `NAMESPACE/NAME`. WHAT is a policy as explain names it,
 * `tier NAME` for the end of a tier, or `profile NAME`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataplaneName } from '../../src/contract/config.ts';
import type { PairResult } from '../../src/lab/pairs.ts';
import type { EndVerdict, Explanation } from '../../src/observe/explain.ts';
import type { LabRig } from './lab-rig.ts';

export interface Scenario {
  /** The comment on the first line: the promise. */
  readonly promise: string;
  readonly nodes: number;
  readonly lines: readonly { readonly number: number; readonly words: readonly string[] }[];
  readonly files: ReadonlyMap<string, string>;
}

export function parseScenario(text: string): Scenario {
  const [script = '', ...sections] = text.split(/^-- (?=\S+ --$)/m);
  const files = sections.map((section) => {
    const [head = '', ...body] = section.split('\n');
    return [head.replace(/ --$/, ''), body.join('\n')] as const;
  });
  const [title = '', ...rest] = script.split('\n');
  const lines = rest
    .map((line, i) => ({ number: i + 2, words: line.replace(/#.*/, '').split(/\s+/).filter(Boolean) }))
    .filter(({ words }) => words.length > 0);
  const [lab] = lines.flatMap(({ words }) => (words[0] === 'lab' ? [Number(words[1]?.split('=')[1])] : []));
  return {
    promise: title.replace(/^# */, ''),
    nodes: lab ?? 1,
    lines: lines.filter(({ words }) => words[0] !== 'lab'),
    files: new Map(files),
  };
}

export async function play(scenario: Scenario, lab: LabRig, dataplane: DataplaneName): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-scenario-'));
  try {
    for (const [name, text] of scenario.files) writeFileSync(join(folder, name), text);
    for (const { number, words } of scenario.lines) {
      const line = `line ${number}: ${words.join(' ')}`;
      await step(words, { lab, dataplane, folder, files: scenario.files, line });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Stage {
  readonly lab: LabRig;
  readonly dataplane: DataplaneName;
  readonly folder: string;
  readonly files: ReadonlyMap<string, string>;
  readonly line: string;
}

async function step([verb = '', ...words]: readonly string[], stage: Stage): Promise<void> {
  switch (verb) {
    case 'apply':
      return succeeds(stage, 'apply', '-f', join(stage.folder, words[0] ?? ''));
    case 'delete':
      return succeeds(stage, 'delete', ...words);
    case 'expect-flow':
      return expectFlow(words, stage);
    case 'expect-address':
      return expectAddress(words, stage);
    case 'expect-output':
      return expectOutput(words, stage);
    case 'expect-rules':
      return stage.dataplane === 'nftables' ? expectRules(words, stage) : undefined;
    default:
      throw new TypeError(`${stage.line}: no such verb`);
  }
}

async function succeeds({ lab, line }: Stage, ...argv: readonly string[]): Promise<void> {
  const { code, out, notes } = await lab.cli(...argv);
  assert.equal(code, 0, `${line}\n${out}${notes}`);
}

async function expectFlow(words: readonly string[], stage: Stage): Promise<void> {
  const [from = '', arrow, target = '', verdict = '', by, ...what] = words;
  const match = /^([^:]+?)(?::(\d+))?(?:\/(udp|icmp))?$/.exec(target);
  const wellFormed = arrow === '->' && match && /^(allowed|denied)$/.test(verdict) && (by ?? 'by') === 'by';
  if (!wellFormed)
    throw new TypeError(`${stage.line}: want A -> B:PORT[/udp|/icmp] allowed|denied [by WHAT]`);
  const [, to = '', port, protocol = 'tcp'] = match;
  const ends = ['--from', pathOf(from), '--to', pathOf(to), ...(port === undefined ? [] : ['--port', port])];
  let families = 0;
  for (const ipVersion of ['4', '6']) {
    const spoken = [...ends, '--ip-version', ipVersion, '-o', 'json'];
    const probe = await stage.lab.cli('probe', ...spoken, '--protocol', protocol, '--timeout', '300ms');
    const [result] = JSON.parse(probe.out || '[]') as PairResult[];
    if (!result) continue; // the two do not both have an address of this family
    families++;
    assert.equal(
      result.allowed,
      verdict === 'allowed',
      `${stage.line}: packets of IPv${ipVersion}: ${probe.out}`,
    );
    const name = protocol === 'icmp' && ipVersion === '6' ? 'ICMPv6' : protocol;
    const explained = await stage.lab.cli('explain', ...spoken, '--protocol', name);
    const explanation = JSON.parse(explained.out) as Explanation;
    assert.equal(
      explanation.allowed,
      verdict === 'allowed',
      `${stage.line}: explain, IPv${ipVersion}: ${explained.out}`,
    );
    if (by) assert.equal(decider(explanation), what.join(' '), `${stage.line}: who decided`);
  }
  assert.ok(families > 0, `${stage.line}: the two have no address of one family`);
}

/** Of the end that denied, or of the destination. */
function decider({ egress, ingress }: Explanation): string {
  const end = [egress, ingress].find((each) => each?.verdict === 'deny') ?? ingress;
  return end ? deciderOf(end) : 'nobody';
}

function deciderOf({ trace }: EndVerdict): string {
  const last = trace.at(-1);
  if (last?.step === 'tier') {
    return last.decidedBy === 'rule' ? String(last.policies.at(-1)?.policy) : `tier ${last.tier}`;
  }
  return last?.step === 'profile' ? `profile ${last.profile}` : String(last?.step);
}

async function expectAddress([name = '', ...addresses]: readonly string[], stage: Stage): Promise<void> {
  for (const address of addresses) {
    assert.equal(await stage.lab.address(pathOf(name), address.includes(':') ? 6 : 4), address, stage.line);
  }
}

async function expectOutput(words: readonly string[], { lab, line }: Stage): Promise<void> {
  const at = words.indexOf('~');
  if (at < 1) throw new TypeError(`${line}: want ARGUMENT... ~ WORD...`);
  const { out, notes } = await lab.cli(...words.slice(0, at));
  const wanted = words.slice(at + 1).join(' ');
  const lines = out.split('\n').map((each) => each.trim().replace(/\s+/g, ' '));
  assert.ok(
    lines.some((each) => each.includes(wanted)),
    `${line}\n${out}${notes}`,
  );
}

async function expectRules([node = '', file = '']: readonly string[], stage: Stage): Promise<void> {
  const listed = stage.lab
    .node(node)
    .run(() => spawnSync('nft', ['list', 'table', 'ip', 'muslin'], { encoding: 'utf8' })).stdout;
  const actual = chainsOf(listed);
  const wanted = chainsOf(stage.files.get(file) ?? '');
  assert.ok(wanted.size > 0, `${stage.line}: ${file} names no chain`);
  for (const [name, rules] of wanted) {
    assert.deepEqual(actual.get(name), rules, `${stage.line}: chain ${name} of\n${listed}`);
  }
}

/** By name; what depends on a hash stands as `*`. */
function chainsOf(text: string): ReadonlyMap<string, readonly string[]> {
  const plain = text.replace(/-[0-9a-f]{12}\b/g, '-*').replace(/"cali[0-9a-f]{11}"/g, '"cali*"');
  const blocks = [...plain.matchAll(/^\s*chain (\S+) \{\n([^}]*)\}/gm)];
  return new Map(
    blocks.map(([, name = '', body = '']) => [
      name,
      body
        .split('\n')
        .map((rule) => rule.trim())
        .filter(Boolean),
    ]),
  );
}

function pathOf(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}
