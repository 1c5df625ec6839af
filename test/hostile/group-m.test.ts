// SPDX-License-Identifier: Apache-2.0
/**
 * Group M of the fault catalogue (malformed and hostile input), line by line, through the user's own command or the
 * function that owns the matter. M5's fields are in src/model/validate/schema.test.ts, M6 in behind-validation.test.ts;
 * M7 (a sync protocol) and M8 (CNI, Neutron, BIRD) have nothing yet to be hostile to, but netlink: codec.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { compileFor } from '../../src/calc/compile.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { transactionText } from '../../src/kernel/nft/text.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf } from '../../src/model/kinds.ts';
import { patterns } from '../../src/model/schema/patterns.ts';
import { parseSelector, SelectorError } from '../../src/model/selector/parse.ts';
import type { Resource } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { collect } from '../../src/model/validate/check.ts';
import { formatChecks } from '../../src/model/validate/formats.ts';
import { jsPattern } from '../../src/model/validate/pattern.ts';
import { CliSession, type Outcome } from '../support/cli-session.ts';
import { calico, cluster, gnp, hep, pod } from '../support/oracle-cluster.ts';
import { bomb } from './corrupt-text.ts';
import { metacharacters, prototypeKeys } from './hostile-values.ts';
import { assertNftText, nftOperations } from './nft-grammar.ts';

/** No step may depend on the clock; this only ends what would never end. */
const neverEnds = { timeout: 120_000 };
const tierText = 'apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: t}\n';

async function applied(text: string): Promise<Outcome & { stored: string }> {
  using cli = new CliSession();
  const outcome = await cli.run(['apply', '-f', '-'], text);
  const { out: stored } = await cli.run(['get', 'tiers,gnp,gns', '-o', 'json']);
  return { ...outcome, stored };
}

/** Refused, with one fault that says so, and nothing stored. */
async function refused(text: string, fault: RegExp): Promise<void> {
  const { code, out, notes } = await applied(text);
  assert.equal(code, 5, `${notes.join().slice(0, 500)}`);
  assert.equal(out, '');
  assert.match(notes.join('\n'), fault);
  assert.ok(notes.join('\n').length < 4000, 'said in few words');
}

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

function messagesFor(...extra: readonly Resource[]): ReturnType<typeof compileFor> {
  const updates = [...cluster, ...extra].flatMap((resource) => updatesOf(keyOf(resource), resource).updates);
  return compileFor('n1', [...builtinUpdates(), ...updates]);
}

/** Of this many rules in each policy, and of twice as many: what grows must not grow faster than that. */
function assertLinear(sizeOf: (count: number) => number, count: number): void {
  const [one, two] = [sizeOf(count), sizeOf(2 * count)];
  assert.ok(two <= 2.3 * one + 10_000, `${one} of ${count}, ${two} of ${2 * count}`);
}

test(
  'M9: policies of 512 and 1,024 rules with 50 ports each cost the data plane in proportion',
  neverEnds,
  () => {
    const policy = (name: string, count: number, first: number) => {
      const ports = (i: number) => Array.from({ length: 50 }, (_, j) => first + ((50 * i + j) % 20_000));
      const rule = (i: number) => ({ action: 'Allow', protocol: 'TCP', destination: { ports: ports(i) } });
      return gnp(name, { order: first, ingress: Array.from({ length: count }, (_, i) => rule(i)) });
    };
    const three = (count: number) => [
      policy('p', count, 1),
      policy('q', count, 20_001),
      policy('r', count, 40_001),
    ];
    assertLinear((count) => assertNftText(nftOperations(messagesFor(...three(count)))).length, 512);
    const perRule = nftOperations(messagesFor(...three(512))).length / (3 * 512);
    assert.ok(perRule < 10, `${perRule} operations for a rule`);
  },
);

test('M9: a policy of 1,025 rules, and one of 51 ports in a rule, are refused with their limits', async () => {
  const rules = Array(1025).fill({ action: 'Allow' });
  await refused(
    JSON.stringify(gnp('p', { ingress: rules })),
    /spec\.ingress: got 1025 items, want at most 1024/,
  );
  const destination = { ports: Array(51).fill(1) };
  const rule = { action: 'Allow', protocol: 'TCP', destination };
  await refused(JSON.stringify(gnp('p', { ingress: [rule] })), /ports: got 51 items, want at most 50/);
});

test('M9: 100,000 nets that overlap are a set without nested members, and each is in it', neverEnds, () => {
  const nets = (count: number) =>
    Array.from(
      { length: count },
      (_, i) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}/${24 + (i % 9)}`,
    );
  const set = (count: number) =>
    calico('GlobalNetworkSet', 's', { nets: [...nets(count), '10.0.0.0/30', 'fd00::1/64'] });
  const labelled = (count: number) => ({ ...set(count), metadata: { name: 's', labels: { net: 'yes' } } });
  const policy = gnp('p', { ingress: [{ action: 'Deny', source: { selector: "net == 'yes'" } }] });
  const members = (count: number) =>
    messagesFor(labelled(count), policy).flatMap((message) =>
      message.kind === 'ipset-update' ? message.set.members : [],
    );
  const found = members(100_000);
  assert.equal(new Set(found).size, found.length);
  assert.ok(found.includes('10.0.0.0/24') && !found.includes('10.0.0.0/30'), 'the wider holds the narrower');
  assert.ok(found.includes('fd00::/64'), 'host bits are cleared');
  assertLinear((count) => assertNftText(nftOperations(messagesFor(labelled(count), policy))).length, 20_000);
});

const hostBits: { readonly [what: string]: readonly [resource: Resource, fault: RegExp | null] } = {
  'a network set': [calico('GlobalNetworkSet', 's', { nets: ['10.0.0.1/8', 'fd00::1/64'] }), null],
  'a rule': [
    gnp('p', { ingress: [{ action: 'Allow', source: { nets: ['10.0.0.1/8'] } }] }),
    /nets\[0\]: got "10\.0\.0\.1\/8"/,
  ],
  'a rule of two families': [
    gnp('p', { ingress: [{ action: 'Allow', source: { nets: ['10.0.0.0/8', 'fd00::/8'] } }] }),
    /IPv4 and IPv6|famil/,
  ],
};

for (const [what, [resource, fault]] of Object.entries(hostBits)) {
  test(`CIDRs with host bits in ${what}`, async () => {
    if (fault) return refused(JSON.stringify(resource), fault);
    assert.equal((await applied(JSON.stringify(resource))).code, 0);
  });
}

test('M10: names that mean something to a shell, to nft, to a path are refused, by name', async () => {
  for (const name of metacharacters.filter((text) => text !== 'accept')) {
    const { code, out, notes } = await applied(JSON.stringify(gnp(name, {})));
    assert.deepEqual([code, out], [5, ''], JSON.stringify(name));
    assert.match(notes.join('\n'), /metadata\.name: got/, JSON.stringify(name));
    assert.doesNotMatch(notes.join('\n'), /[^\P{Cc}\n]|\u202e/u, 'nothing that drives a terminal');
  }
  assert.equal(existsSync('/tmp/muslin-owned'), false);
});

test('M10: where any text may stand, it reaches neither nft’s grammar nor a file', async (t) => {
  const hosts = metacharacters.map((text, i) =>
    hep(`h${i}`, {
      interfaceName: `eth${i}`,
      profiles: [text],
      ports: [{ name: 'a', protocol: 'TCP', port: 1 }],
    }),
  );
  const pods = metacharacters.map((text, i) =>
    pod('red', `p${i}`, String(100 + i), { serviceAccountName: text }),
  );
  const strange = metacharacters.map((text) => gnp('p', { selector: `a == "${text.replaceAll('"', '')}"` }));
  const rule = {
    action: 'Allow',
    source: {
      selector: strange
        .map((each) => `(${memberSelector(each)})`)
        .slice(0, 12)
        .join(' || '),
    },
  };
  const settings = calico('FelixConfiguration', 'default', { logPrefix: 'a %t %k: %n %p' });
  const policy = gnp('p', {
    applyOnForward: true,
    ingress: [rule, { action: 'Log' }],
    egress: [{ action: 'Log' }],
  });
  const ops = nftOperations(messagesFor(...hosts, ...pods, settings, policy));
  assertNftText(ops);
  if (process.getuid?.() !== 0) return t.diagnostic('nft itself was not asked: needs root');
  using netns = NetNs.anonymous();
  netns.run(() =>
    execFileSync('nft', ['-c', '-f', '-'], {
      input: transactionText(ops).replaceAll('{ flags owner,persist; }', ''),
    }),
  );
});

test('M10: whatever a rule were to say, its text stays one line of nft’s grammar', () => {
  for (const text of [...metacharacters, 'é'.repeat(200), 'x'.repeat(500)]) {
    const statements = [
      { kind: 'log', prefix: text.slice(0, 60) },
      { kind: 'prefix', field: 'iifname', prefix: text.slice(0, 9) },
    ] as const;
    const table = { family: 4, name: 'muslin' } as const;
    assertNftText([{ op: 'add-rule', table, chain: 'c', rule: { statements, comment: text } }]);
  }
});

function memberSelector({ spec }: Resource): string {
  return String((spec as { selector: string }).selector);
}

test('M10: words on the command line are names, never paths or shell', async () => {
  using cli = new CliSession();
  await cli.run(['apply', '-f', '-'], tierText);
  for (const word of metacharacters) {
    const asked = [
      ['get', 'tiers', word],
      ['delete', 'tier', word],
      ['get', 'pods', '-n', word],
      ['get', `tier/${word}`],
      ['explain', '--from', word, '--to', word],
    ];
    for (const argv of asked) {
      const { code } = await cli.run(argv);
      assert.ok(code >= 0 && code <= 9, argv.join(' '));
    }
  }
  assert.match((await cli.run(['get', 'tiers', 't'])).out, /^t /m);
  assert.equal(existsSync('/tmp/muslin-owned'), false);
});

test('M11: policies stand in the order of any doubles', () => {
  const orders = [
    -Number.MAX_VALUE,
    -1,
    -5e-324,
    0,
    5e-324,
    1,
    2 ** 53,
    2 ** 53 + 2,
    1e300,
    Number.MAX_VALUE,
  ];
  const policies = orders.map((order, i) => gnp(`p${9 - i}`, { order, selector: "app == 'a'" }));
  const last = gnp('a-last', { selector: "app == 'a'" });
  const messages = messagesFor(...policies.toReversed(), last);
  const endpoint = messages.find((each) => each.kind === 'endpoint-update' && each.endpoint.name === 'red/a');
  assert.ok(endpoint?.kind === 'endpoint-update');
  assert.deepEqual(endpoint.endpoint.tiers[0]?.ingress, [
    ...orders.map((_, i) => `GlobalNetworkPolicy/p${9 - i}`),
    'GlobalNetworkPolicy/a-last',
  ]);
});
