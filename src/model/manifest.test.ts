// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readManifest } from './manifest.ts';
import { originAnnotation } from './types.ts';

/** What the text says: the spec of a Tier is strict, so scalars are read back from annotations of open kinds. */
function scalar(written: string): unknown {
  const { resources, faults } = readManifest(
    'f',
    `apiVersion: v1\nkind: Node\nmetadata: {name: node}\nspec:\n  x: ${written}\n`,
  );
  assert.deepEqual(faults, []);
  const [entry] = resources;
  assert.ok(entry);
  return (entry.resource.spec as { x?: unknown }).x;
}

function faultsOf(text: string): string[] {
  return readManifest('f.yaml', text).faults.map(
    ({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
  );
}

function namesOf(text: string): string[] {
  const { resources, faults } = readManifest('f.yaml', text);
  assert.deepEqual(faults, []);
  return resources.map(({ resource, origin }) => `${resource.kind}/${resource.metadata.name}@${origin.line}`);
}

const namespace = (name: string) => `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n`;

test('plain scalars mean what go-yaml 2 makes of them', () => {
  const rows: [string, unknown][] = [
    ['yes', true],
    ['on', true],
    ['Y', true],
    ['TRUE', true],
    ['no', false],
    ['Off', false],
    ['n', false],
    ['yEs', 'yEs'],
    ['"yes"', 'yes'],
    ['0777', 511],
    ['0o17', 15],
    ['089', 89],
    ['0x1f', 31],
    ['-0b11', -3],
    ['1_000', 1000],
    ['+5', 5],
    ['_1', '_1'],
    ['1e3', 1000],
    ['.5', 0.5],
    ['1.', 1],
    ['20:30', '20:30'],
    ['1:30:00', '1:30:00'],
    ['2001-12-14', '2001-12-14'],
    ['2001-12-14t21:59:43.10-05:00', '2001-12-14t21:59:43.10-05:00'],
    ['10.0.0.0', '10.0.0.0'],
    ['!!str 5', '5'],
    ['!!int "5"', 5],
    ['0', 0],
    ['=', '='],
  ];
  for (const [written, meant] of rows) {
    assert.deepEqual(scalar(written), meant, written);
  }
  for (const written of ['~', 'null', 'Null', '']) assert.equal(scalar(written), undefined, written);
});

test('keys are text, also where they look like something else', () => {
  const text = 'apiVersion: v1\nkind: Node\nmetadata: {name: node}\nspec: {on: 1, 010: 2, 1.50: 3}\n';
  assert.deepEqual(readManifest('f', text).resources[0]?.resource.spec, { true: 1, 8: 2, 1.5: 3 });
});

test('tags of other types are refused, not guessed', () => {
  for (const tag of ['!!binary aGk=', '!!set {a}', '!!omap [a: 1]', '!!timestamp 2001-12-14', '!mine x']) {
    const [fault] = faultsOf(`apiVersion: v1\nkind: Node\nmetadata: {name: node}\nspec:\n  x: ${tag}\n`);
    assert.match(fault ?? '', /^5:\d+ .*[Uu]nresolved tag/, tag);
  }
});

test('numbers that JSON cannot hold are refused', () => {
  assert.deepEqual(faultsOf('spec:\n  x: .inf\n'), ['2:6 : got Infinity, want a number that JSON can hold']);
  assert.deepEqual(faultsOf('spec:\n  x: .NaN\n'), ['2:6 : got NaN, want a number that JSON can hold']);
});

test('merge keys are honoured, own members win, earlier maps win', () => {
  const text = `apiVersion: v1
kind: Node
metadata: {name: node}
spec:
  base: &base {a: 1, b: 2}
  more: &more {b: 3, c: 4}
  both: {<<: [*base, *more], a: 0}
  quoted: {"<<": 1}
`;
  const spec = readManifest('f', text).resources[0]?.resource.spec as { both: unknown; quoted: unknown };
  assert.deepEqual(spec.both, { a: 0, b: 2, c: 4 });
  assert.deepEqual(spec.quoted, { '<<': 1 });
  assert.match(faultsOf('a: 1\n<<: 5\n')[0] ?? '', /^2:1 : merge key <<: got no map/);
});

test('duplicate keys are refused at the second, also those that only become the same', () => {
  assert.deepEqual(faultsOf('a: 1\nb: 2\na: 3\n'), ['3:1 : key "a" is written twice, want it once']);
  assert.deepEqual(faultsOf('1: 1\n"1": 2\n'), ['2:1 : key "1" is written twice, want it once']);
});

test('keys that are no text are refused', () => {
  assert.deepEqual(faultsOf('a: {? [x] : 1}\n'), ['1:7 : got a key that is no text, want a string']);
  assert.deepEqual(faultsOf('~: 1\n'), ['1:1 : got a key that is no text, want a string']);
});

test('aliases: unknown, endless and multiplying ones are refused', () => {
  assert.deepEqual(faultsOf('a: *nowhere\n'), ['1:4 : alias *nowhere has no anchor before it']);
  assert.match(faultsOf('a: &a [*a]\n')[0] ?? '', /nested too deep/);
  const bomb = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
      : `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]\n`,
  ).join('');
  assert.match(faultsOf(bomb)[0] ?? '', /too large: want at most 1000000 values/);
  assert.deepEqual(namesOf(`${namespace('a')}  labels: &l {x: "1"}\n  annotations: *l\n`), ['Namespace/a@1']);
});

test('nesting is bounded in flow, block and mixed style, before a tree is built', () => {
  const deep = [
    '['.repeat(100_000),
    '{a: '.repeat(100_000),
    '- '.repeat(100_000),
    '? '.repeat(100_000),
    Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    `a: ${'['.repeat(65)}${']'.repeat(65)}`,
  ];
  for (const text of deep) {
    const faults = faultsOf(text);
    assert.equal(faults.length, 1);
    assert.match(faults[0] ?? '', /nested too deep: want at most 64 levels/);
  }
});

test('brackets inside quotes and block text are text', () => {
  const json = '['.repeat(100);
  const text = `${namespace('a')}  annotations:\n    x: '${json}'\n    v: "${json}"\n    z: |\n      ${json}\n    w: a ${json}\n`;
  const { resources, faults } = readManifest('f', text);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    ['x', 'v', 'z', 'w'].map((key) => resources[0]?.resource.metadata.annotations?.[key]?.trim()),
    [json, json, json, `a ${json}`],
  );
});

test('size, NUL and control characters are refused', () => {
  assert.match(faultsOf('#'.repeat(10 * 1024 * 1024 + 1))[0] ?? '', /want at most 10485760$/);
  assert.deepEqual(faultsOf('a: b\nc: \0\n'), ['2:4 : got the control character U+0000, want text']);
  assert.deepEqual(faultsOf('a: \x1f\n'), ['1:4 : got the control character U+001F, want text']);
  assert.match(faultsOf('#\n'.repeat(2_000_000))[0] ?? '', /want at most 3000000 tokens/);
});

test('a byte order mark, carriage returns and JSON with tabs are read', () => {
  assert.deepEqual(namesOf(`\uFEFF${namespace('a').replaceAll('\n', '\r\n')}`), ['Namespace/a@1']);
  const json = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } }, null, '\t');
  assert.deepEqual(namesOf(json), ['Namespace/a@1']);
});

test('several documents; empty ones and comments are skipped', () => {
  const text = `---\n# nothing\n---\n${namespace('a')}---\n---\n~\n---\n${namespace('b')}...\n`;
  assert.deepEqual(namesOf(text), ['Namespace/a@4', 'Namespace/b@12']);
  assert.deepEqual(namesOf(''), []);
});

test('lists are expanded, each item with its own place; typed lists say what their items are', () => {
  const text = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: b}}
- apiVersion: projectcalico.org/v3
  kind: TierList
  items:
  - metadata: {name: c}
`;
  assert.deepEqual(namesOf(text), ['Namespace/a@4', 'Namespace/b@10', 'Tier/c@14']);
  const bad = text.replace('{name: a}', '{nam: a}');
  assert.deepEqual(
    faultsOf(bad).map((fault) => fault.slice(0, 18)),
    ['6:3 metadata.name:'],
  );
  assert.deepEqual(faultsOf('apiVersion: v1\nkind: List\nitems: 5\n'), ['3:8 items: want a list']);
});

test('a fault stands at its value, an unknown field at its key, a missing one at its parent', () => {
  const text = `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  namespace: ns
  labels:
    example.com/a.b: "not ok!"
    -bad-: x
spec:
  oder: 5
  ingress:
  - action: Alow
    source:
      nets:
      - 10.0.0.0/8
      - 10.0.0/33
`;
  const places = faultsOf(text).map((fault) => fault.split(': ')[0]);
  assert.deepEqual(places.sort(), [
    '11:13 spec.ingress[0].action',
    '15:9 spec.ingress[0].source.nets[1]',
    '3:1 metadata.name',
    '6:22 metadata.labels.example.com/a.b',
    '7:5 metadata.labels.-bad-',
    '9:3 spec.oder',
  ]);
});

test('a fault reached through an alias stands at the anchor', () => {
  const text = `${namespace('a')}  annotations: &l {x: "1", "b d": 5}\n  labels: *l\n`;
  assert.deepEqual(
    faultsOf(text).map((fault) => fault.split(': ')[0]),
    [
      '5:28 metadata.annotations.b d',
      '5:35 metadata.annotations.b d',
      '5:28 metadata.labels.b d',
      '5:35 metadata.labels.b d',
    ],
  );
});

test('syntax errors stand where they are and do not hide other documents', () => {
  const text = `a: [1\n---\n${namespace('a')}---\nb: "x\n`;
  const { resources, faults } = readManifest('f.yaml', text);
  assert.equal(resources.length, 1);
  assert.deepEqual(
    faults.map(({ file, line }) => `${file}:${line}`),
    ['f.yaml:2', 'f.yaml:9'],
  );
});

test('each resource says where it and its rules were written', () => {
  const text = `---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: p}
spec:
  ingress:
  - action: Allow

  - action: Deny
  egress: [{action: Allow}]
`;
  const { resources } = readManifest('dir/f.yaml', text, { namespace: 'x' });
  const [entry] = resources;
  assert.equal(entry?.resource.metadata.namespace, 'x');
  assert.deepEqual(entry?.origin, { file: 'dir/f.yaml', line: 2 });
  assert.deepEqual(JSON.parse(entry?.resource.metadata.annotations?.[originAnnotation] ?? ''), {
    file: 'dir/f.yaml',
    line: 2,
    rules: { ingress: [7, 9], egress: [10] },
  });
});

test('__proto__ is a key like any other', () => {
  const text = `${namespace('a')}  labels: {__proto__: x}\n`;
  assert.equal(faultsOf(text).length, 1);
  assert.deepEqual(
    faultsOf('apiVersion: v1\nkind: Namespace\n__proto__: {metadata: {name: a}}\n').length > 0,
    true,
  );
  readManifest(
    'f',
    '__proto__: {polluted: yes}\n<<: {__proto__: {polluted: yes}}\nconstructor: {prototype: 1}',
  );
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test('no text makes it throw, and every fault has a place within the text', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...[
        '---\n',
        '- ',
        '? ',
        ': ',
        'a: ',
        '\n',
        '\n  ',
        '\n    ',
        '[',
        ']',
        '{',
        '}',
        ',',
        '"',
        "'",
        '|\n',
        '>-\n',
      ],
      ...[
        '&a ',
        '*a',
        '<<: ',
        '!!str ',
        '!x ',
        '# c',
        '%YAML 1.2\n',
        '...\n',
        '\t',
        '\\',
        '~',
        '0x',
        '1:2',
        'é',
        '\r',
      ],
      ...[
        'kind: List',
        'apiVersion: v1',
        'items:',
        'metadata:',
        'name: a',
        'spec:',
        '__proto__',
        '@',
        '`',
        '%',
      ],
    ),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('');
      const lines = text.split('\n').length;
      for (const fault of readManifest('f', text).faults) {
        assert.ok((fault.line ?? 0) >= 1 && (fault.line ?? 0) <= lines, JSON.stringify(fault));
        assert.ok((fault.column ?? 0) >= 1);
      }
    }),
    { numRuns: 2000 },
  );
});

test('objects of kinds that are not read are skipped when that is asked for, and named; slips stay faults', () => {
  const text = [
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n',
    'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n',
    'apiVersion: v2\nkind: Pod\nmetadata: {name: slip}\n',
  ].join('---\n');
  const asked = readManifest('m.yaml', text, { skipUnsupported: true });
  assert.deepEqual(asked.skipped, [{ kind: 'Deployment', name: 'web', file: 'm.yaml', line: 1 }]);
  assert.equal(asked.resources.length, 1);
  assert.deepEqual(
    asked.faults.map(({ path, line }) => `${line} ${path}`),
    ['9 apiVersion'],
  );
  const usual = readManifest('m.yaml', text);
  assert.deepEqual([usual.skipped, usual.faults.length], [[], 2]);
});
