// SPDX-License-Identifier: Apache-2.0
/** Group M of the fault catalogue, M9 to M11: scale, names that mean something to others, orders of any double. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { compileFor } from '../../src/calc/compile.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { transactionText } from '../../src/kernel/nft/text.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf } from '../../src/model/kinds.ts';
import type { Resource } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { CliSession } from '../support/cli-session.ts';
import { calico, cluster, gnp, hep, pod, tier } from '../support/oracle-cluster.ts';
import { applied, neverEnds, refused } from './command.ts';
import { metacharacters } from './hostile-values.ts';
import { assertNftText, nftOperations } from './nft-grammar.ts';

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
  await cli.run(['apply', '-f', '-'], JSON.stringify(tier('t', 1)));
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
