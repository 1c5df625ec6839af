// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patterns } from '../schema/patterns.ts';
import { collect } from './check.ts';
import { formatChecks } from './formats.ts';
import { jsPattern, patternChoices, patternWords } from './pattern.ts';

const dashes = '-'.repeat(2);

/** Format: what it takes, what it refuses. */
const table: { readonly [format: string]: readonly [readonly unknown[], readonly unknown[]] } = {
  selector: [
    ['', 'has(a)', 'all()'],
    ['global()', 'a ==', 5],
  ],
  'rule-namespace-selector': [
    ['global()', 'has(a)'],
    ['global() || has(a)', '!global()'],
  ],
  protocol: [
    ['TCP', 'udplite', '255', 1],
    [0, 256, 'tcpx', '', true],
  ],
  'protocol-with-ports': [
    ['sctp', 6, '17'],
    ['ICMP', 1],
  ],
  'rule-port': [
    [0, 65535, '1:2', 'http', '80'],
    [65536, -1, '2:1', 'Http', 1.5, 'a'.repeat(16)],
  ],
  'pod-port': [
    [1, 65535, 'http'],
    [0, 65536, '80', ''],
  ],
  'port-range': [
    [80, '1:2'],
    ['http', '2:1'],
  ],
  'port-name': [
    ['', 'http-alt'],
    ['HTTP', '80', `a${dashes}b`],
  ],
  net: [
    ['10.0.0.0/8', '10.0.0.1', 'fd00::/8'],
    ['10.0.0.1/8', '10.0.0', 8],
  ],
  'negated-net': [['10.0.0.0/8'], ['0.0.0.0/0', '::/0']],
  'any-net': [
    ['10.0.0.1/8', '::1'],
    ['10.0.0.0/33', ''],
  ],
  'ipv4-net': [['10.0.0.1', '10.0.0.0/8'], ['fd00::/8']],
  cidr: [
    ['10.0.0.1/8', 'fd00::1/8'],
    ['10.0.0.1', '10.0.0.0/08'],
  ],
  'masked-cidr': [['10.0.0.0/8'], ['10.0.0.1/8', '10.0.0.1']],
  'ipv4-cidr': [
    ['', '10.0.0.0/8'],
    ['fd00::/8', '10.0.0.1/8'],
  ],
  'ipv6-cidr': [['', 'fd00::/8'], ['10.0.0.0/8']],
  'ipv4-interface': [['192.0.2.1/24', '192.0.2.1'], ['2001:db8::1/64']],
  'ipv6-interface': [['2001:db8::1/64'], ['192.0.2.1/24']],
  ip: [
    ['', '192.0.2.1', '::1'],
    ['192.0.2.1/32', 'host'],
  ],
  ipv4: [['192.0.2.1'], ['::1']],
  ipv6: [['::1'], ['192.0.2.1']],
  'peer-address': [
    ['192.0.2.1', '192.0.2.1:179', 'fd00::1', '[fd00::1]:65535'],
    ['[192.0.2.1]:179', '192.0.2.1:0', '192.0.2.1:65536', '[fd00::1]', 'fd00::1]:179', ':179'],
  ],
  host: [
    ['localhost', '::', '0.0.0.0'],
    ['a b', 'a'.repeat(65)],
  ],
  'dns-name': [
    ['', 'a.b-c'],
    ['A', '-a', 'a..b', 'a'.repeat(254)],
  ],
  'dns-label': [
    ['', 'a-b'],
    ['a.b', 'a'.repeat(64)],
  ],
  labels: [[{ 'a.b/c': 'd', e: '' }], [{ '-a': 'b' }, { a: 'b c' }, { a: 1 }, 'a']],
  'label-key': [
    ['a', 'example.org/a.b_c'],
    ['', '1:65535', 'a b', "a == 'b' || c", 5],
  ],
  'label-value': [
    ['', 'a.b_c'],
    ["x' } || all() || a in { 'y", 'a b', '-', 5],
  ],
  annotations: [[{ 'A.b/c': 'any thing' }], [{ '-a': 'b' }, { a: 1 }, { a: 'x'.repeat(262_144) }]],
  'inherited-labels': [[{ 'pcns.a/b': 'any thing' }], [{ 'a b': '' }]],
  interface: [
    ['', 'eth0.100'],
    ['eth0/1', 'a'.repeat(16), '*', '.', '..'],
  ],
  'interface-or-any': [['*', 'eth0'], ['eth*']],
  'interface-pattern': [['eth*', '*'], ['eth+']],
  'interface-filter': [['docker+'], ['eth*']],
  'http-method': [
    ['GET', 'M-SEARCH', '*'],
    ['', 'GE T', 'a'.repeat(65)],
  ],
  regex: [
    ['^eth[0-9]+$', ''],
    ['(', '[z-a]'],
  ],
  duration: [
    ['', '0', '90s', '1.5h', '2m30s', '-1ms', '1µs'],
    ['90', 's', '1 s', '1d'],
  ],
  'date-time': [
    ['2026-08-22T10:00:00Z', '2026-08-22T10:00:00.5+02:00'],
    ['2026-08-22', 'now'],
  ],
  'as-number': [
    [0, 4294967295, '65000', '65000.1'],
    [-1, 4294967296, '65536.0', '1.65536', '1.1.1', 1.5],
  ],
  community: [
    ['0:65535', '65000:100', '1:2:4294967295'],
    ['65536:1', '01:2', '1', '1:2:3:4', '1:2:4294967296'],
  ],
  dscp: [
    [0, 63, 'AF11', 'ef', '46'],
    [64, 'AF44', ''],
  ],
  mac: [
    ['', 'ee:EE:ee:ee:ee:00', 'ee-ee-ee-ee-ee-ee'],
    ['ee:ee:ee:ee:ee', 'eeeeeeeeeeee'],
  ],
  'wireguard-key': [
    ['', `${'A'.repeat(43)}=`],
    [`${'A'.repeat(42)}B=`, 'A'.repeat(44)],
  ],
};

test('each format takes and refuses what it should, with what was found and what is wanted', () => {
  assert.deepEqual(Object.keys(table).sort(), [...formatChecks.keys()].sort());
  for (const [format, [good, bad]] of Object.entries(table)) {
    const check = formatChecks.get(format);
    assert.ok(check);
    for (const value of good) assert.deepEqual(collect(check, value), [], `${format} ${String(value)}`);
    for (const value of bad) {
      const faults = collect(check, value);
      assert.equal(faults.length, 1, `${format} ${JSON.stringify(value)}`);
      assert.match(faults[0]?.message ?? '', /got .*want /s, format);
    }
  }
});

test('each pattern has words, takes and refuses what it should', () => {
  const samples: { readonly [P in keyof typeof patterns]: readonly [readonly string[], readonly string[]] } =
    {
      duration: [
        ['', '90s', '1.5h2ms'],
        ['90', '1d', '1us'],
      ],
      conntrackTimeout: [
        ['Auto', '5ms', '1h30m', '2us', '.5s'],
        ['', 'auto', '5', '1d'],
      ],
      featureOverrides: [
        ['', 'A=true', 'A=true,B=,C=false'],
        ['A=maybe', ',A='],
      ],
      featureGates: [
        ['', 'A=b', 'A=b,C=d e'],
        ['A', 'A=', '=b'],
      ],
      rateLimit: [
        ['1/second', '9999/day'],
        ['0/second', '10000/day', '1/week'],
      ],
      logPrefix: [
        ['', 'calico-packet %t', 'a: b/c_d'],
        ['a;b', 'a\n'],
      ],
      affinity: [
        ['host:n-1', 'virtual:load.balancer'],
        ['host:', 'node:n', 'host:a b'],
      ],
      condition: [
        ['Ready', 'A', 'A_b,c:d'],
        ['', '1', 'A:'],
      ],
      conditionType: [
        ['Ready', 'example.org/Ready'],
        ['', '/Ready', 'a b'],
      ],
    };
  for (const [name, [good, bad]] of Object.entries(samples)) {
    const pattern = patterns[name as keyof typeof patterns];
    assert.ok(patternWords.has(pattern), name);
    for (const text of good) assert.ok(jsPattern(pattern).test(text), `${name} ${text}`);
    for (const text of bad) assert.ok(!jsPattern(pattern).test(text), `${name} ${text}`);
  }
  assert.deepEqual(patternChoices('^(?i)(Drop|Accept)?$'), ['Drop', 'Accept']);
  assert.equal(jsPattern('^(?i)(Drop|Accept)?$').test('ACCEPT'), true);
});

// An expression that backtracks would never come back: the runner's own limit tells.
test('long hostile texts are judged at once', () => {
  const texts = [
    's',
    'ms',
    '1',
    '1.',
    '0',
    'a=',
    'a=true,',
    'a,',
    ',',
    'a:',
    '-',
    '.',
    'A_',
    '(',
    '/a',
    '[',
    '!',
  ].flatMap((piece) => [piece.repeat(50_000), `${piece.repeat(50_000)}!`, `a=${piece.repeat(50_000)}`]);
  for (const text of texts) {
    for (const pattern of Object.values(patterns)) jsPattern(pattern).test(text);
    for (const check of formatChecks.values()) collect(check, text);
    for (const check of formatChecks.values()) collect(check, { [text]: text });
  }
});
