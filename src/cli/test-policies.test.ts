// SPDX-License-Identifier: Apache-2.0
/** `muslin test`: verdicts, reports, exit codes, and faults by line and column. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const pods = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: i, ports: [{name: pg, containerPort: 5432}]}]}
`;
const policy = `
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  selector: app == "db"
  ingress:
    - action: Allow
      protocol: TCP
      source: {selector: app == "web"}
      destination: {ports: [pg]}
---
apiVersion: projectcalico.org/v3
kind: StagedNetworkPolicy
metadata: {name: db, namespace: shop}
spec: {stagedAction: Delete}
`;
const good = `manifests: [pods.yaml, policy.yaml]
cases:
  - {name: web reads, from: shop/web, to: shop/db, port: pg, expect: allow, by: NetworkPolicy/shop/db}
  - {from: shop/web, to: shop/db, port: 22, expect: deny, by: default, staged: allow}
  - {from: shop/db, to: shop/web, protocol: ICMP, expect: allow, by: kns.shop}
  - {from: 192.0.2.1, to: shop/db, port: 5432, expect: deny}
matrix:
  - {port: 5432, allow: {'*': ['shop/web'], shop/web: [shop/db]}}
  - {name: staged too, port: 22, staged: true, allow: {'shop/*': ['*']}}
`;

/** Output and notes without the session's folder. */
async function run(files: { readonly [name: string]: string }, ...args: readonly string[]) {
  using session = new CliSession();
  for (const [name, text] of Object.entries({ 'pods.yaml': pods, 'policy.yaml': policy, ...files }))
    session.write(name, text);
  const inside = args.map((arg) => arg.replace('@', `${session.folder}/`));
  const { code, out, notes } = await session.run(['test', ...inside]);
  const plain = (text: string) => text.replaceAll(`${session.folder}/`, '');
  const junit = args.includes('--junit')
    ? plain(readFileSync(join(session.folder, 'junit.xml'), 'utf8'))
    : '';
  return { code, out: plain(out), notes: plain(notes.join('\n')), junit };
}

test('cases that hold: one line; pods without address are given one', async () => {
  const { code, out, notes } = await run({ 'cases.yaml': good }, '-f', '@cases.yaml');
  assert.deepEqual([code, out], [0, '6 cases: 6 passed, 0 failed\n']);
  assert.match(notes, /^note: 2 pods have no address \(status\.podIP\): imagined in 198\.18\.0\.0\/15$/);
  const verbose = await run({ 'cases.yaml': good }, '-f', '@cases.yaml', '-v');
  assert.match(
    verbose.out,
    /^RESULT +CASE +FROM +TO +PORT +WANT +GOT +BY\nok +web reads +shop\/web +shop\/db +5432 /,
  );
});

test('a failure is told with what decided and why; exit 8', async () => {
  const wrong = good.replace('port: 22, expect: deny, by: default, staged: allow', 'port: 22, expect: allow');
  const { code, out } = await run({ 'cases.yaml': wrong }, '-f', '@cases.yaml');
  assert.equal(code, 8);
  assert.equal(
    out,
    `FAIL  cases.yaml:4: shop/web -> shop/db port 22
  want allow, got deny by the end of tier default, after NetworkPolicy/shop/db
    shop/web (198.18.0.1) -> shop/db (198.18.0.2), TCP port 22: denied

    egress of shop/web: allowed
      profile kns.shop: rule 0 allows

    ingress of shop/db: denied
      tier default
        NetworkPolicy/shop/db: no rule matched
        end of tier, its default action: denied

    with staged policies in force: allowed by profile kns.shop rule 0

6 cases: 5 passed, 1 failed
`,
  );
});

test('the wrong decider, the wrong staged verdict and wrong pairs are failures too', async () => {
  const failures = async (from: string, to: string) =>
    (await run({ 'cases.yaml': good.replace(from, to) }, '-f', '@cases.yaml')).out;
  assert.match(
    await failures('by: NetworkPolicy/shop/db', 'by: shop/other'),
    /want allow by shop\/other, got allow by profile kns\.shop rule 0 and NetworkPolicy\/shop\/db rule 0 \(policy\.yaml:8\)/,
  );
  assert.match(
    await failures('staged: allow', 'staged: deny'),
    /with staged policies in force: want deny, got allow by profile/,
  );
  assert.match(
    await failures("{'*': ['shop/web'], shop/web: [shop/db]}", '{}'),
    /FAIL {2}cases\.yaml:8: all pairs port 5432\n {2}shop\/db -> shop\/web: want deny, got allow by profile kns\.shop rule 0\n {2}shop\/web -> shop\/db: want deny, got allow/,
  );
});

test('JUnit XML and JSON hold the same', async () => {
  const wrong = good
    .replace('name: web reads', 'name: "<web> & \\"db\\""')
    .replace('expect: allow', 'expect: deny');
  const { code, out, junit } = await run(
    { 'cases.yaml': wrong },
    '-f',
    '@cases.yaml',
    '-o',
    'json',
    '--junit',
    '@junit.xml',
  );
  assert.equal(code, 8);
  const { passed, failed, cases } = JSON.parse(out);
  assert.deepEqual([passed, failed, cases[0].problems.length, cases[1].passed], [5, 1, 1, true]);
  assert.match(
    junit,
    /<testsuites name="muslin test" tests="6" failures="1" errors="0" skipped="0" time="\d+\.\d{3}">/,
  );
  assert.match(
    junit,
    /<testcase name="&lt;web&gt; &amp; &quot;db&quot;" classname="cases\.yaml" file="cases\.yaml" line="3">\n {6}<failure message="want deny by NetworkPolicy\/shop\/db, got allow by [^"]*">/,
  );
  assert.equal(junit.match(/<testcase /g)?.length, 6);
});

test('resources may stand in the same file, at their own lines', async () => {
  const file = `cases: [{from: a/x, to: a/z, port: 80, expect: allow}]
---
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: a}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: z, namespace: a}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: closed}
spec:
  types: [Ingress]
  ingress:
    - action: Deny
`;
  const { code, out } = await run({ 'cases.yaml': file }, '-f', '@cases.yaml');
  assert.equal(code, 8);
  assert.match(out, /got deny by GlobalNetworkPolicy\/closed rule 0 \(cases\.yaml:19\)/);
  const broken = await run({ 'cases.yaml': file.replace('Deny', 'Maybe') }, '-f', '@cases.yaml');
  assert.equal(broken.code, 5);
  assert.match(broken.notes, /^cases\.yaml:19:15: error: spec\.ingress\[0\]\.action: /m);
});

test('every fault of a case file is named by line and column, with what was found and what is wanted', async () => {
  const file = `manifests: pods.yaml
cases:
  - from: 5
    expect: maybe
    ports: 80
matrix:
  - {allow: {a/b: c}, port: [1]}
tests: []
`;
  const { code, notes } = await run({ 'cases.yaml': file }, '-f', '@cases.yaml');
  assert.equal(code, 5);
  assert.deepEqual(
    notes
      .split('\n')
      .map((line) => line.replace(/, want .*/, ''))
      .sort(),
    [
      'cases.yaml:1:12: error: manifests: got "pods.yaml"',
      'cases.yaml:3:5: error: cases[0].to: got nothing',
      'cases.yaml:3:11: error: cases[0].from: got 5',
      'cases.yaml:4:13: error: cases[0].expect: got "maybe"',
      'cases.yaml:5:5: error: cases[0].ports: unknown field "ports"',
      'cases.yaml:7:19: error: matrix[0].allow.a/b: got "c"',
      'cases.yaml:7:29: error: matrix[0].port: got [1]',
      'cases.yaml:8:1: error: tests: unknown field "tests"',
    ].sort(),
  );
  assert.match(
    (await run({ 'cases.yaml': 'cases: [' }, '-f', '@cases.yaml')).notes,
    /^cases\.yaml:\d+:\d+: error: /,
  );
});

test('what is not there: exit 3, by line and column', async () => {
  const outcomes: [string, number, RegExp][] = [
    [
      'manifests: [nope.yaml]\ncases: []\nmatrix: [{allow: {}}]',
      3,
      /^cases\.yaml:1:13: error: nope\.yaml: no such file/,
    ],
    [good.replace('from: shop/db', 'from: shop/nope'), 3, /^cases\.yaml:5:5: error: no pod shop\/nope/m],
    [good.replace('[shop/db]', '[shop/nope]'), 3, /^cases\.yaml:8:5: error: no pod shop\/nope/m],
    [good.replace('port: pg', 'port: nope'), 3, /^cases\.yaml:3:5: error: .*no port named nope/m],
    [good.replace('port: 22', 'port: 70000'), 5, /^cases\.yaml:4:5: error: port: got 70000/m],
    ['cases: []', 5, /no cases in/],
  ];
  for (const [text, code, message] of outcomes) {
    const outcome = await run({ 'cases.yaml': text }, '-f', '@cases.yaml');
    assert.match(outcome.notes, message);
    assert.equal(outcome.code, code, text);
  }
  assert.equal((await run({}, '-f', '@nothing.yaml')).code, 3);
});

test('in a directory what holds no cases is left aside, and a case file is none of its own manifests', async () => {
  const file = good.replace('[pods.yaml, policy.yaml]', '[.]');
  const { code, out, notes } = await run({ 'cases.yaml': file }, '-f', '@');
  assert.deepEqual([code, out], [0, '6 cases: 6 passed, 0 failed\n'], notes);
});
