// SPDX-License-Identifier: Apache-2.0
/**
 * Group M of the fault catalogue (malformed and hostile input), line by line, through the user's own command or the
 * function that owns the matter; M9 to M11 are in scale-and-names.test.ts. M5's fields are in src/model/validate/schema.test.ts, M6 in behind-validation.test.ts;
 * M7 (a sync protocol) and M8 (CNI, Neutron, BIRD) have nothing yet to be hostile to, but netlink: codec.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { patterns } from '../../src/model/schema/patterns.ts';
import { parseSelector, SelectorError } from '../../src/model/selector/parse.ts';
import { collect } from '../../src/model/validate/check.ts';
import { formatChecks } from '../../src/model/validate/formats.ts';
import { jsPattern } from '../../src/model/validate/pattern.ts';
import { CliSession } from '../support/cli-session.ts';
import { gnp, pod } from '../support/oracle-cluster.ts';
import { applied, neverEnds, refused } from './command.ts';
import { bomb } from './corrupt-text.ts';
import { prototypeKeys } from './hostile-values.ts';

const tierText = 'apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: t}\n';

const yaml: { readonly [what: string]: readonly [text: string, fault: RegExp] } = {
  'nesting of 100,000 lists': ['['.repeat(100_000), /nested too deep: want at most 64 levels/],
  'nesting of 100,000 maps': ['{a: '.repeat(100_000), /nested too deep/],
  'nesting of 100,000 block lists': ['- '.repeat(100_000), /nested too deep/],
  'nesting of 100,000 keys': ['? '.repeat(100_000), /nested too deep/],
  'nesting by indentation': [
    Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    /nested too deep/,
  ],
  'an alias bomb, ten to the ninth': [bomb(10, 10), /too large: want at most 1000000 values/],
  'an alias bomb, two to the hundredth': [bomb(100, 2), /nested too deep|too large/],
  'an alias of itself': ['a: &a [*a]', /nested too deep/],
  'a merge of itself': ['a: &a\n  <<: *a\n', /nested too deep/],
  'a merge key of a list': [`${tierText}spec: {<<: [1]}`, /merge key <<: got no map/],
  'eleven megabytes': [
    `${tierText}# ${'x'.repeat(11 * 2 ** 20)}`,
    /got \d+ characters, want at most 10485760/,
  ],
  'three million tokens': [
    `[${'[],'.repeat(1_200_000)}]`,
    /want at most 3000000 tokens|want at most 1000000 values|10485760/,
  ],
  NUL: [`${tierText}spec: {order: 1\0}`, /control character U\+0000/],
  'UTF-16': [Buffer.from(tierText, 'utf16le').toString('latin1'), /control character U\+0000/],
  'duplicate keys': [`${tierText}spec: {order: 1, order: 2}`, /order.*written twice/],
  'a tag that runs code': [`${tierText}spec: !!python/object/apply:os.system [id]`, /tag/i],
  'a tag of its own': [`${tierText}spec: {order: !x 5}`, /tag/i],
  binary: [`${tierText}spec: {order: !!binary aGk=}`, /tag/i],
  infinity: [`${tierText}spec: {order: .inf}`, /want a number that JSON can hold/],
  'no number': [`${tierText}spec: {order: .nan}`, /want a number that JSON can hold/],
  'two to the 53rd and one': [
    `${tierText}spec: {order: 9007199254740993}`,
    /got 9007199254740993, which a double cannot hold/,
  ],
  'the same in hex': [`${tierText}spec: {order: 0x20000000000001}`, /cannot hold/],
  'a number of 1,000 digits': [
    `${tierText}spec: {order: ${'9'.repeat(1000)}}`,
    /want a number that JSON can hold/,
  ],
  'a number in quotes': [`${tierText}spec: {order: "5"}`, /spec\.order: got "5", want a number/],
  'a terminal escape in a key': ['"a\\e[2J": 1\nb: 1', /^[^\p{Cc}]*$/mu],
};

for (const [what, [text, fault]] of Object.entries(yaml)) {
  test(`M1, M2: ${what}`, neverEnds, () => refused(text, fault));
}

const read: { readonly [what: string]: readonly [order: string, stored: RegExp] } = {
  'a leading BOM': ['5', /"order":5\b/],
  'YAML 1.1 octal': ['0777', /"order":511\b/],
  'an underscore': ['1_000', /"order":1000\b/],
  'two to the 53rd': ['9007199254740992', /"order":9007199254740992\b/],
  'the largest double': ['1.7976931348623157e+308', /"order":1.7976931348623157e\+308/],
  'the smallest double': ['5e-324', /"order":5e-324/],
  'minus the largest': ['-1.7976931348623157e+308', /"order":-1.7976931348623157e\+308/],
  'minus zero': ['-0', /"order":0\b/],
};

for (const [what, [order, stored]] of Object.entries(read)) {
  test(`M1, M11: ${what} is read as Kubernetes does`, async () => {
    const outcome = await applied(`\uFEFF${tierText}spec: {order: ${order}}\r\n`);
    assert.equal(outcome.code, 0, outcome.notes.join());
    assert.match(JSON.stringify(JSON.parse(outcome.stored)), stored);
  });
}

test('M2: own keys called like a prototype’s, at every level, are unknown fields', async () => {
  const whole = gnp('p', { ingress: [{ action: 'Allow', source: { nets: ['10.0.0.0/8'] } }] });
  const levels = [
    [],
    ['metadata'],
    ['spec'],
    ['spec', 'ingress', 0],
    ['spec', 'ingress', 0, 'source'],
  ] as const;
  for (const level of levels) {
    for (const key of prototypeKeys) {
      const copy = structuredClone(whole) as object;
      const at = (level as readonly (string | number)[]).reduce<object>(
        (value, step) => (value as { [step: string]: object })[step] ?? {},
        copy,
      );
      Object.defineProperty(at, key, { value: { polluted: true }, enumerable: true });
      await refused(JSON.stringify(copy), new RegExp(`${key}: unknown field`));
    }
  }
  assert.equal('polluted' in {}, false);
});

test('M2: as labels they are labels, also to selectors', async () => {
  using cli = new CliSession();
  const labels = JSON.parse('{"constructor": "a", "toString": "b"}');
  const labelled = { ...pod('red', 'a', '1'), metadata: { name: 'a', namespace: 'red', labels } };
  assert.equal((await cli.run(['apply', '-f', '-'], JSON.stringify(labelled))).code, 0);
  const matches = async (selector: string) =>
    (await cli.run(['--ndjson', 'selector', 'eval'], JSON.stringify({ selector, labels }))).out;
  assert.equal(await matches("constructor == 'a' && has(toString)"), '{"match":true}\n');
  assert.equal(await matches('has(valueOf) || has(__proto__)'), '{"match":false}\n');
});

test('M2: a filter outlives requests of any depth and size', neverEnds, async () => {
  using cli = new CliSession();
  const deep = `{"resource":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`;
  const wide = `{"resource":{"a":[${'1,'.repeat(1_100_000)}1]}}`;
  const lines = [deep, wide, '{"resource":{"__proto__":{"kind":"Tier"}}}', '{', '', '5', 'null'];
  const { code, out } = await cli.run(
    ['--ndjson', 'validate'],
    `${lines.join('\n')}\n{"resource":${JSON.stringify(gnp('p', {}))}}\n`,
  );
  const answers = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(code, 0);
  assert.equal(answers.length, lines.length + 1);
  assert.match(answers[0].error.message, /nested too deep/);
  assert.match(answers[1].errors[0].message, /too large/);
  assert.ok(answers.slice(2, -1).every((answer) => answer.valid === false || 'error' in answer));
  assert.ok(
    answers.every((answer) => answer.error?.code !== 'INTERNAL'),
    out.slice(0, 2000),
  );
  assert.equal(answers.at(-1).valid, true);
});

const selectors: { readonly [what: string]: readonly [text: string, want: RegExp | 'read'] } = {
  'one megabyte': ["a == 'b' || ".repeat(87_382), /got 1048584 characters, want at most 65536/],
  'one megabyte of nothing': [' '.repeat(2 ** 20), /want at most 65536/],
  '10,000 parentheses': ['('.repeat(10_000), /more than 256 parentheses deep/],
  'nesting of 100,000': [`${'('.repeat(100_000)}has(a)${')'.repeat(100_000)}`, /want at most 65536/],
  'nesting of 30,000': [`${'('.repeat(30_000)}has(a)${')'.repeat(30_000)}`, /more than 256/],
  '60,000 negations': [`${'!'.repeat(60_000)}has(a)`, 'read'],
  '5,000 terms': [`${'has(a) && '.repeat(5000)}has(a)`, 'read'],
  '5,000 terms apart': [`${"a=='b' || ".repeat(5000)}has(a)`, 'read'],
  '10,000 terms': [`${"a=='b' || ".repeat(10_000)}has(a)`, /want at most 65536/],
  'a set of 15,000': [`a in {${"'x',".repeat(15_000)}}`, 'read'],
  'a string without end': ["a == 'b", /has no end/],
  'a string of quotes': ["'".repeat(60_000), /want/],
  'letters beyond ASCII': ['é == "b"', /got "é/],
  'any letters in a string': ['a == "é\u202e\u0000𝕬"', 'read'],
  'a line feed': ['has(a)\n&& has(b)', /want "&&"/],
  'a label of 513': [`has(${'a'.repeat(513)})`, /got a label name of 513 characters, want at most 512/],
  'a label of 512': [`has(${'a'.repeat(512)})`, 'read'],
};

for (const [what, [text, want]] of Object.entries(selectors)) {
  test(`M3: a selector of ${what}`, neverEnds, async () => {
    using cli = new CliSession();
    const { code, notes } = await cli.run(['selector', 'parse', text]);
    assert.equal(code, want === 'read' ? 0 : 5, notes.join().slice(-300));
    if (want === 'read')
      return assert.equal(parseSelector(parseSelector(text).canonical).id, parseSelector(text).id);
    assert.throws(
      () => parseSelector(text),
      (error) => error instanceof SelectorError && want.test(error.message),
    );
    await refused(JSON.stringify(gnp('p', { selector: text })), /spec\.selector: /);
  });
}

/** Each repeats one thing, then breaks it: what makes an expression that backtracks try everything. */
const longTexts = [
  'a',
  '1',
  'a.',
  'a-',
  '1s',
  '1.',
  '=',
  'a=',
  'a=true,',
  ',',
  ':',
  '0:',
  '/',
  '%',
  ' ',
  '(',
  '\\',
  'é',
  '1h1',
  '++',
].flatMap((piece) => ['', '!', '\n'].map((end) => piece.repeat(50_000 / piece.length) + end));

for (const [name, pattern] of Object.entries(patterns)) {
  test(`M4: pattern ${name} takes 50,000 characters`, () => {
    const regex = jsPattern(pattern);
    ends(() => longTexts.filter((text) => regex.test(text)));
  });
}

for (const [name, check] of formatChecks) {
  test(`M4: format ${name} takes 50,000 characters`, () => {
    ends(() => longTexts.map((text) => collect(check, text)));
    ends(() => longTexts.map((text) => collect(check, { [text]: text })));
  });
}

/** A regular expression that goes astray cannot be stopped from outside but by the machine itself. */
function ends(run: () => unknown): void {
  runInNewContext('run()', { run }, { timeout: 60_000 });
}

test('M5: an empty list stays an empty list, an absent one absent, through store and sync', async () => {
  using cli = new CliSession();
  const texts = [gnp('empty', { ingress: [], egress: [], types: [] }), gnp('absent', { selector: 'all()' })];
  await cli.run(['apply', '-f', '-'], texts.map((each) => JSON.stringify(each)).join('\n---\n'));
  const { out } = await cli.run(['get', 'gnp', '-o', 'json']);
  const [absent, empty] = JSON.parse(out).items;
  assert.deepEqual([empty.spec.ingress, empty.spec.egress], [[], []]);
  assert.deepEqual(['ingress' in absent.spec, 'egress' in absent.spec], [false, false]);
});
