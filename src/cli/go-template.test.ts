// SPDX-License-Identifier: Apache-2.0
/** Expected texts are what Go's text/template prints of the same, by its documentation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { UsageError } from '../lib/errors.ts';
import { parseGoTemplate, renderGoTemplate } from './go-template.ts';

const pods = {
  items: [
    {
      metadata: { name: 'a', labels: { app: 'x', 'example.com/team': 'blue' } },
      spec: { order: 5.5, on: true },
    },
    { metadata: { name: 'b' }, spec: { order: 0, on: false, list: [1, 'two'] } },
  ],
};

const rendered: readonly [string, string][] = [
  ['plain', 'plain'],
  ['{{range .items}}{{.metadata.name}}{{"\\n"}}{{end}}', 'a\nb\n'],
  ['{{ range .items }}{{ .metadata.name }} {{ end }}', 'a b '],
  ['{{range .items}}{{if .spec.on}}+{{else}}-{{end}}{{end}}', '+-'],
  ['{{range .items}}{{if eq .metadata.name "a"}}1{{else if .spec.list}}2{{else}}3{{end}}{{end}}', '12'],
  ['{{range .none}}x{{else}}nothing{{end}}', 'nothing'],
  ['{{range .items}}{{range .spec.list}}<{{.}}>{{end}};{{end}}', ';<1><two>;'],
  ['{{range .items}}{{with .metadata.labels}}{{.app}}{{else}}none{{end}} {{end}}', 'x none '],
  ['{{index .items 1 "metadata" "name"}}', 'b'],
  ['{{with index .items 0}}{{index .metadata.labels "example.com/team"}}{{end}}', 'blue'],
  ['{{len .items}} {{len "äb"}}', '2 3'],
  ['{{.none.deeper}}', '<no value>'],
  ['{{range .items}}{{.metadata.labels}}{{end}}', 'map[app:x example.com/team:blue]<no value>'],
  [
    '{{range .items}}{{.spec.order}},{{.spec.on}},{{.spec.list}};{{end}}',
    '5.5,true,<no value>;0,false,[1 two];',
  ],
  ['{{range .items}}{{len $.items}}{{end}}', '22'],
  ['a {{- "b" -}} c', 'abc'],
  ['{{/* nothing */}}{{if not .none}}y{{end}}{{if ne 1 2}}z{{end}}', 'yz'],
  ['{{`}}`}}{{"{{"}}', '}}{{'],
  ['{{range .items}}{{range .spec}}{{.}} {{end}}{{end}}', 'true 5.5 [1 two] false 0 '],
];

for (const [template, text] of rendered) {
  test(`${template} prints ${JSON.stringify(text)}`, () => {
    assert.equal(renderGoTemplate(parseGoTemplate(template), pods), text);
  });
}

const refused: readonly [string, RegExp][] = [
  ['{{printf "%s" .a}}', /got \{\{printf "%s" \.a\}\}, want fields/],
  ['{{.a | len}}', /got \{\{\.a \| len\}\}/],
  ['{{range $i, $e := .items}}{{end}}', /\$i, \$e/],
  ['{{$x := 1}}', /\$x := 1/],
  ['{{if and .a .b}}{{end}}', /and \.a \.b/],
  ['{{len (index .a 0)}}', /index \.a 0/],
  ['{{template "x"}}', /template "x"/],
  ['{{if .a}}', /an \{\{if\}\} without \{\{end\}\}/],
  ['{{end}}', /an \{\{end\}\} without/],
  ['{{else}}', /an \{\{else\}\} without/],
  ['{{if .a}}{{else}}{{else}}{{end}}', /an \{\{else\}\} without/],
  ['{{range .a}}{{else if .b}}{{end}}', /\{\{else if \.b\}\}/],
  ['{{.a', /"\{\{\.a" without its end/],
  ['{{}}', /got \{\{\}\}/],
  ['{{"\\q"}}', /the escape \\q/],
  ['{{eq .a}}', /eq \.a/],
];

for (const [template, message] of refused) {
  test(`${template} is refused by its name`, () => {
    assert.throws(
      () => parseGoTemplate(template),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test('nesting without end is neither read nor run by recursion', () => {
  const depth = 100_000;
  const template = `${'{{if .items}}'.repeat(depth)}x${'{{end}}'.repeat(depth)}`;
  assert.equal(renderGoTemplate(parseGoTemplate(template), pods), 'x');
});

test('get prints by a template, from the command line and from a file; ps is the table; ndjson an object a line', async () => {
  using session = new CliSession();
  const tier = '{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: sec}, spec: {order: 5}}';
  await session.run(['apply', '-f', '-'], tier);
  const get = async (...words: readonly string[]) => session.run(['get', ...words]);
  const template = '{{range .items}}{{.metadata.name}}={{.spec.order}} {{end}}';
  assert.match((await get('tiers', '-o', `go-template=${template}`)).out, /sec=5 /);
  assert.equal((await get('tier', 'sec', '-o', 'go-template={{.spec.order}}')).out, '5');
  const file = session.write('t', template);
  assert.match((await get('tiers', '-o', `go-template-file=${file}`)).out, /sec=5 /);
  assert.equal((await get('tiers', '-o', 'go-template-file=none')).code, 3);
  assert.equal((await get('tiers', '-o', 'go-template={{printf}}')).code, 2);
  assert.equal((await get('tiers', '-o', 'ps')).out, (await get('tiers')).out);
  const lines = (await get('tiers', '-o', 'ndjson')).out.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).kind),
    lines.map(() => 'Tier'),
  );
});
