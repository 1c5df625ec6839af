// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { foldNode, type Leaf, type Node, valueSet } from './ast.ts';
import { canonicalText } from './canonical.ts';
import type { LabelLookup } from './match.ts';
import { matches, parseSelector, SelectorError, selectorOf, tryParseSelector } from './parse.ts';
import { restrictionsOf } from './restrictions.ts';
import { overNamespaces, overServiceAccounts } from './rewrite.ts';

test('a selector has one normal text', () => {
  const table: [string, string][] = [
    ['', 'all()'],
    [' \t', 'all()'],
    ["a=='b'", 'a == "b"'],
    [`a == 'say "b"'`, `a == 'say "b"'`],
    [`a == "it's"`, `a == "it's"`],
    ['a != "b"', 'a != "b"'],
    ['a contains "b"', 'a contains "b"'],
    ['a starts   with "b"', 'a starts with "b"'],
    ['a startswith"b"', 'a starts with "b"'],
    ['a endswith "b"', 'a ends with "b"'],
    ['a in{"y","x","x"}', 'a in {"x", "y"}'],
    ['a notin {"x",}', 'a not in {"x"}'],
    ['a not\tin {}', 'a not in {}'],
    ['has( a )', 'has(a)'],
    ['all( )', 'all()'],
    ['global()', 'global()'],
    ['! has(a)', '!has(a)'],
    ['!!has(a)', 'has(a)'],
    ['!!!has(a)', '!has(a)'],
    ['!(!has(a))', '!!has(a)'],
    ['((a == "b"))', 'a == "b"'],
    ['has(a)&&has(b)&&has(c)', '(has(a) && has(b) && has(c))'],
    ['has(a) && (has(b) && has(c))', '(has(a) && (has(b) && has(c)))'],
    ['has(a) && has(b) || !has(c) && has(d)', '((has(a) && has(b)) || (!has(c) && has(d)))'],
    ['!(has(a) || has(b)) && has(c)', '(!(has(a) || has(b)) && has(c))'],
    ['in in {"in"}', 'in in {"in"}'],
    [
      'has == "has" && all != "all" && not not in {"not"}',
      '(has == "has" && all != "all" && not not in {"not"})',
    ],
    ['projectcalico.org/namespace == "x-1"', 'projectcalico.org/namespace == "x-1"'],
    ['a in {"\u{10000}", "\uffff"}', 'a in {"\uffff", "\u{10000}"}'],
  ];
  for (const [text, canonical] of table) assert.equal(parseSelector(text).canonical, canonical, text);
});

test('the id is base64url of SHA-224 over s: and the normal text, as Calico computes it', () => {
  for (const text of ['', "a=='b'", 'has(é)'.replace('é', 'e'), 'a in {"é","z"}']) {
    const selector = parseSelector(text);
    const digest = createHash('sha224').update(`s:${selector.canonical}`).digest('base64url');
    assert.equal(selector.id, `s:${digest}`);
  }
  assert.equal(parseSelector('a == "x"').id, parseSelector("a=='x'").id);
});

test('a text outside the grammar is refused at the place where it leaves it', () => {
  const table: [string, number, RegExp][] = [
    ['a', 1, /got the end, want ==, !=/],
    ['a ==', 4, /want a string/],
    ['a == b', 5, /got "b", want a string/],
    ['a = "b"', 2, /want ==/],
    ['a == "b', 5, /string has no end/],
    ['a == "b" &', 9, /want "&&"/],
    ['a == "b" && ', 12, /got the end, want "\("/],
    ['a == "b"\n&& has(c)', 8, /got "\\n/],
    ['has(a) has(b)', 7, /want "&&", "\|\|" or the end/],
    ['(has(a)', 7, /the "\)" of the "\(" at 0/],
    ['has(a))', 6, /want "&&"/],
    ['()', 1, /got "\)"/],
    ['has (a)', 4, /want ==/],
    ['has()', 4, /want a label name/],
    ['has(a', 5, /want "\)" after has\(/],
    ['all(x)', 4, /want "\)"/],
    ['a in "b"', 5, /want "\{"/],
    ['a in {,}', 6, /want a string/],
    ['a in {"b" "c"}', 10, /want "," or "\}"/],
    ['a inb', 2, /want ==/],
    ['a containsb "b"', 2, /want ==/],
    ['a ! = "b"', 2, /want ==/],
    ['é == "b"', 0, /want "\("/],
    [`has(${'a'.repeat(513)})`, 4, /513 characters, want at most 512/],
    [`${'('.repeat(257)}has(a)${')'.repeat(257)}`, 256, /256 parentheses deep/],
  ];
  for (const [text, position, message] of table) {
    assert.throws(
      () => parseSelector(text),
      (error) => error instanceof SelectorError && error.position === position && message.test(error.message),
      text,
    );
  }
});

test('hostile sizes neither overflow the stack nor take long', () => {
  assert.equal(tryParseSelector('('.repeat(1_000_000)), null);
  assert.equal(tryParseSelector('!'.repeat(60_000)), null);
  assert.equal(tryParseSelector(`a not${' '.repeat(60_000)}x`), null);
  const deep = `${'('.repeat(256)}has(a)${')'.repeat(256)}`;
  assert.equal(parseSelector(deep).canonical, 'has(a)');
  const wide = parseSelector(Array.from({ length: 5000 }, (_, i) => `a=="${i}"`).join('||'));
  assert.ok(matches(wide, { a: '4999' }));
  assert.ok(!matches(wide, { a: '5000' }));
  assert.equal(restrictionsOf(wide).get('a')?.values?.length, 5000);
});

test('trees far deeper than any text are printed, matched and rewritten without recursion', () => {
  let root: Node = { kind: 'has', label: 'a' };
  for (let i = 0; i < 100_000; i++) root = { kind: 'not', operand: root };
  assert.ok(matches(selectorOf(root), { a: '' }));
  assert.equal(canonicalText(root).length, 100_006);
  assert.equal(restrictionsOf(selectorOf(overNamespaces(root))).get('pcns.a')?.mustBePresent, true);
});

test('an absent label is unequal to everything, and equal to nothing', () => {
  const table: [string, boolean, boolean, boolean][] = [
    // text, a absent, a = "", a = "xyz"
    ['a == "xyz"', false, false, true],
    ['a != "xyz"', true, true, false],
    ['a in {"xyz"}', false, false, true],
    ['a not in {"xyz"}', true, true, false],
    ['a in {}', false, false, false],
    ['a not in {}', true, true, true],
    ['a contains "y"', false, false, true],
    ['a contains ""', false, true, true],
    ['a starts with "x"', false, false, true],
    ['a ends with "z"', false, false, true],
    ['has(a)', false, true, true],
    ['!has(a)', true, false, false],
    ['all()', true, true, true],
    ['global()', true, true, true],
  ];
  for (const [text, absent, empty, value] of table) {
    const selector = parseSelector(text);
    assert.deepEqual(
      [matches(selector, {}), matches(selector, { a: '' }), matches(selector, { a: 'xyz' })],
      [absent, empty, value],
      text,
    );
  }
});

test('labels are looked up in functions, maps and records alike, and never in a prototype', () => {
  const sources: LabelLookup[] = [
    { a: 'b' },
    new Map([['a', 'b']]),
    (name) => (name === 'a' ? 'b' : undefined),
  ];
  for (const source of sources) assert.ok(matches(parseSelector('a == "b" && !has(c)'), source));
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.ok(!matches(parseSelector(`has(${name})`), {}));
    assert.ok(matches(parseSelector(`has(${name})`), JSON.parse(`{"${name}": "x"}`)));
  }
});

test('selectors over namespaces and service accounts are rewritten on the tree', () => {
  const namespaces = (text: string) => canonicalText(overNamespaces(parseSelector(text).root));
  assert.equal(namespaces('a == "all()" && has(b)'), '(pcns.a == "all()" && has(pcns.b))');
  assert.equal(namespaces('all()'), 'has(projectcalico.org/namespace)');
  assert.equal(namespaces('global()'), '!has(projectcalico.org/namespace)');
  assert.equal(namespaces('a not in {"global()"}'), 'pcns.a not in {"global()"}');
  const accounts = overServiceAccounts(parseSelector('has(a) || all()').root, 'any-endpoint');
  assert.equal(canonicalText(accounts), '(has(pcsa.a) || all())');
  const global = overServiceAccounts(parseSelector('has(a) || all()').root, 'has-service-account');
  assert.equal(canonicalText(global), '(has(pcsa.a) || has(projectcalico.org/serviceaccount))');
});

test('restrictions are combined over and, or and not', () => {
  const table: [string, string, boolean, boolean, string[] | null][] = [
    ['a == "b"', 'a', true, false, ['b']],
    ['!has(a)', 'a', false, true, null],
    ['a in {"x","y"} && a in {"y","z"}', 'a', true, false, ['y']],
    ['a == "x" && a == "y"', 'a', true, false, []],
    ['a == "x" || a in {"y"}', 'a', true, false, ['x', 'y']],
    ['a == "x" || has(a)', 'a', true, false, null],
    ['!(a != "x")', 'a', true, false, ['x']],
    ['!(a != "x" || b == "y")', 'a', true, false, ['x']],
    ['a == "x" || !all()', 'a', true, false, ['x']],
  ];
  for (const [text, label, mustBePresent, mustBeAbsent, values] of table) {
    const found = restrictionsOf(parseSelector(text)).get(label);
    assert.deepEqual(found, { mustBePresent, mustBeAbsent, values }, text);
  }
  for (const text of ['all()', 'a != "x"', 'a == "x" || b == "y"', 'a == "x" || !has(a)', '!all()']) {
    assert.equal(restrictionsOf(parseSelector(text)).size, 0, text);
  }
});

// ---- properties ----------------------------------------------------------------------------------------------------

const labelName = fc.constantFrom('a', 'b', 'c', 'in', '__proto__');
const labelValue = fc.constantFrom('', 'x', 'xy', 'y', 'it"s', 'é');
const leaf: fc.Arbitrary<Leaf> = fc.oneof(
  fc.constant<Leaf>({ kind: 'all' }),
  labelName.map((label): Leaf => ({ kind: 'has', label })),
  fc
    .tuple(
      fc.constantFrom('eq' as const, 'ne' as const, 'contains' as const, 'starts-with' as const),
      labelName,
      labelValue,
    )
    .map(([kind, label, value]): Leaf => ({ kind, label, value })),
  fc
    .tuple(fc.constantFrom('in' as const, 'not-in' as const), labelName, fc.array(labelValue))
    .map(([kind, label, values]): Leaf => ({ kind, label, values: valueSet(values) })),
);
const tree = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    leaf,
    tie('node').map((operand): Node => ({ kind: 'not', operand })),
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('node'), { minLength: 2, maxLength: 4 }),
      )
      .map(([kind, operands]): Node => ({ kind, operands })),
  ),
})).node;
const labelSet = fc.dictionary(labelName, labelValue, { noNullPrototype: true });

function obviousMatch(root: Node, labels: { [name: string]: string }): boolean {
  return foldNode(root, {
    leaf: (node) => matches(selectorOf(node), labels),
    not: (operand) => !operand,
    join: (kind, operands) => (kind === 'and' ? operands.every(Boolean) : operands.some(Boolean)),
  });
}

test('normal text reads back as the same selector', () => {
  fc.assert(
    fc.property(tree, labelSet, (root, labels) => {
      const selector = selectorOf(root);
      const again = parseSelector(selector.canonical);
      assert.equal(parseSelector(again.canonical).canonical, again.canonical);
      assert.equal(matches(again, labels), matches(selector, labels));
    }),
  );
});

test('the compiled program decides as the tree does', () => {
  fc.assert(
    fc.property(tree, labelSet, (root, labels) => {
      assert.equal(matches(selectorOf(root), labels), obviousMatch(root, labels));
    }),
  );
});

test('a label set that matches satisfies every restriction', () => {
  fc.assert(
    fc.property(tree, labelSet, (root, labels) => {
      const selector = selectorOf(root);
      fc.pre(matches(selector, labels));
      for (const [name, { mustBePresent, mustBeAbsent, values }] of restrictionsOf(selector)) {
        const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
        assert.ok(!mustBePresent || value !== undefined);
        assert.ok(!mustBeAbsent || value === undefined);
        assert.ok(values === null || (value !== undefined && values.includes(value)));
      }
    }),
  );
});

test('any text parses or is refused with a position inside it', () => {
  const token = fc.constantFrom(
    'a',
    'has(',
    'all()',
    ')',
    '(',
    '!',
    '&&',
    '||',
    '==',
    '!=',
    '"x"',
    'in',
    '{',
    '}',
    ',',
    ' ',
    "'",
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(token, { maxLength: 30 }).map((tokens) => tokens.join('')),
  );
  fc.assert(
    fc.property(text, (input) => {
      try {
        parseSelector(parseSelector(input).canonical);
      } catch (error) {
        assert.ok(error instanceof SelectorError);
        assert.ok(error.position >= 0 && error.position <= input.length);
      }
    }),
  );
});
