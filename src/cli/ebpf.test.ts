// SPDX-License-Identifier: Apache-2.0
/** `muslin ebpf` and `muslin flows` before an agent whose data plane says what the test wants. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { FakeAgent } from '../../test/support/fake-agent.ts';
import { flowRecord } from '../../test/support/flows.ts';
import type { FlowEndpoint } from '../contract/flow.ts';
import type { Inspection, InspectionAnswer, TrackedFlow } from '../contract/inspect.ts';
import { parseAddress } from '../lib/address.ts';
import type { KeyPath } from '../lib/brand.ts';
import { parseCidr } from '../lib/cidr.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';

const db: FlowEndpoint = { id: 'WorkloadEndpoint/shop/db' as KeyPath, name: 'shop/db' };
const at = (address: string, port: number | null) => ({ address: parseAddress(address), port });

const tracked: TrackedFlow = {
  family: 4,
  protocol: 6,
  src: at('10.0.0.1', 40_000),
  dst: at('10.96.0.1', 80),
  translatedSrc: null,
  translatedDst: at('10.0.0.2', 5432),
  state: 'established',
  from: 'cali1',
  way: 'peer',
  to: 'cali2',
  via: null,
  endpoint: db,
  service: 'shop/db',
  rule: 'NetworkPolicy/shop/db ingress rule 0',
  ageSeconds: 3700,
  idleSeconds: 61,
  learnt: true,
  dsr: false,
};

const answers: { readonly [K in Inspection['kind']]: Extract<InspectionAnswer, { kind: K }> } = {
  conntrack: { kind: 'conntrack', flows: [tracked], leftOut: 3 },
  nat: {
    kind: 'nat',
    leftOut: 0,
    frontends: [
      {
        service: 'shop/db',
        type: 'node-port',
        address: null,
        family: 6,
        protocol: 17,
        port: 30_000,
        scope: 'outside',
        without: 'drop',
        maglev: true,
        affinitySeconds: 90,
        sources: [parseCidr('192.0.2.0/24')],
        backends: ['1', '2', '3', '4'].map((last) => ({
          address: parseAddress(`fd00::${last}`),
          port: 53,
          local: last === '2',
          endpoint: last === '1' ? db : null,
          places: 250,
        })),
      },
    ],
  },
  routes: {
    kind: 'routes',
    leftOut: 0,
    routes: [
      {
        cidr: parseCidr('10.0.0.0/16'),
        flags: ['pool', 'nat-outgoing'],
        via: null,
        link: null,
        endpoint: null,
      },
    ],
  },
  ipsets: { kind: 'ipsets', leftOut: 0, sets: [] },
  ipset: {
    kind: 'ipset',
    leftOut: 0,
    set: { id: '00ab', family: 4, of: 'port', description: 'IP set n:x (pg)', sources: ['n:x'], rows: 1 },
    members: [{ cidr: parseCidr('10.0.0.2/32'), protocol: 6, port: 5432, source: 'n:x' }],
  },
  counters: {
    kind: 'counters',
    drops: [{ reason: 'policy', packets: 7, advice: 'policy denies it' }],
    rules: [{ rule: null, hits: 2 }],
    leftOut: 0,
    events: { told: 9, lost: 1 },
  },
  policy: {
    kind: 'policy',
    endpoint: db,
    programs: [
      {
        family: 4,
        direction: 'ingress',
        point: 'workload',
        state: 'loaded',
        reason: null,
        place: 33,
        blocks: [
          { rule: '', hits: null, instructions: ['r1 = r2'] },
          {
            rule: 'NetworkPolicy/shop/db ingress rule 0',
            hits: 4,
            instructions: ['if r1 == 6 goto +2', 'exit'],
          },
        ],
      },
    ],
  },
  links: {
    kind: 'links',
    links: [
      {
        name: 'cali2',
        index: 7,
        kind: 'workload',
        endpoint: db,
        mtu: 1500,
        addresses: [],
        open: true,
        programs: [{ family: 4, stage: 'ingress', place: 33 }],
      },
    ],
  },
};

async function rig(answer: (question: Inspection) => InspectionAnswer = ({ kind }) => answers[kind]) {
  const stack = new AsyncDisposableStack();
  const cli = stack.use(new CliSession());
  const agent = stack.use(await FakeAgent.open(join(cli.folder, 'a.sock'), 'n1', answer));
  const run = (...args: readonly string[]) => cli.run([...args, '--socket', agent.socket]);
  return { cli, agent, run, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('flows that are tracked: names, what was left out, and the same objects every time', async () => {
  await using scene = await rig();
  const { out, notes } = await scene.run('ebpf', 'conntrack');
  assert.match(
    out,
    /^PROTOCOL .* RULE\nTCP +10.0.0.1:40000 +10.96.0.1:80 +10.0.0.1:40000 > 10.0.0.2:5432 +established +1m1s +shop\/db +shop\/db +NetworkPolicy\/shop\/db ingress rule 0\n$/,
  );
  assert.match(notes.join(), /flows: 3 more on n1 not shown; want them with --limit/);
  const wide = (await scene.run('ebpf', 'conntrack', '-o', 'wide')).out;
  assert.match(wide, /1h1m .*cali1 +peer cali2 .*taken over/);
  const json = await scene.run('ebpf', 'conntrack', '-o', 'json');
  assert.deepEqual(JSON.parse(json.out), [{ node: 'n1', ...answers.conntrack }]);
  assert.match(
    (await scene.run('ebpf', 'conntrack', '-o', 'yaml')).out,
    /^- node: n1\n {2}kind: conntrack\n/,
  );
});

test('filters reach the agent as they were written; wrong ones are refused there', async () => {
  await using scene = await rig();
  await scene.run('ebpf', 'conntrack', '--address', '10.0.0.1', '--endpoint', 'web', '--limit', '5');
  await scene.run('ebpf', 'nat', '--service', 'shop/db');
  await scene.run('ebpf', 'ipsets', 'n:x', '--address', 'fd00::1');
  await scene.run('ebpf', 'policy', 'dump', 'db', '--direction', 'ingress', '--ip-version', '6');
  assert.deepEqual(scene.agent.asked, [
    { kind: 'conntrack', address: '10.0.0.1', endpoint: 'web', limit: 5 },
    { kind: 'nat', service: 'shop/db', limit: 1000 },
    { kind: 'ipset', id: 'n:x', address: 'fd00::1', limit: 1000 },
    { kind: 'policy', endpoint: 'db', direction: 'ingress', family: 6 },
  ]);
  const wrong = await scene.run('ebpf', 'routes', '--address', '10.0.0');
  assert.deepEqual([wrong.code, wrong.notes.length], [5, 1]);
  assert.match(wrong.notes.join(), /address "10.0.0"/);
  assert.match(
    (await scene.run('ebpf', 'nat', '--limit', '0')).notes.join(),
    /limit: got "0", want 1 to 1000000/,
  );
  assert.equal((await scene.run('ebpf', 'ipsets', '--address', '10.0.0.1')).code, 2);
  assert.equal((await scene.run('ebpf', 'policy', 'dump', 'db', '--direction', 'up')).code, 2);
});

test('every kind of answer has its table', async () => {
  await using scene = await rig();
  const lineOf = async (...args: readonly string[]) =>
    (await scene.run('ebpf', ...args)).out.split('\n')[1] ?? '';
  assert.match(
    await lineOf('nat'),
    /^shop\/db +node-port +UDP +any of the node's IPv6:30000 +outside +shop\/db \[fd00::1\]:53, \[fd00::2\]:53 \(here\), \[fd00::3\]:53, and 1 more$/,
  );
  assert.match(await lineOf('nat', '-o', 'wide'), /192.0.2.0\/24 +1m30s +Maglev .*\[fd00::4\]:53$/);
  assert.match(await lineOf('routes'), /^10.0.0.0\/16 +pool,nat-outgoing +- +- +-$/);
  assert.equal((await scene.run('ebpf', 'ipsets')).out, 'none\n');
  assert.match(
    (await scene.run('ebpf', 'ipsets', '00ab')).out,
    /^n1: IP set n:x \(pg\), 1 row\nMEMBER.*\n10.0.0.2\/32 +TCP +5432 +n:x\n$/,
  );
  assert.match(
    (await scene.run('ebpf', 'counters')).out,
    /policy +7 +policy denies it\n\nHITS +RULE\n2 +rules that are gone\n\nevents on n1: 9 told, 1 lost\n$/,
  );
  assert.match(await lineOf('links'), /^cali2 +workload +shop\/db +yes +1500 +ingress\/IPv4:33$/);
  assert.equal(
    (await scene.run('ebpf', 'policy', 'dump', 'db')).out,
    `ingress, IPv4, loaded at place 33, of shop/db on n1
  (no rule in particular)
      r1 = r2
  NetworkPolicy/shop/db ingress rule 0   (4 hits)
      if r1 == 6 goto +2
      exit
`,
  );
});

test('errors keep their meaning; a data plane without maps and an agent that is not there say so', async () => {
  await using scene = await rig(({ kind }) => {
    if (kind === 'policy') throw new NotFoundError('cannot find endpoint x');
    throw new InvalidError('endpoint x: got two');
  });
  assert.equal((await scene.run('ebpf', 'policy', 'dump', 'x')).code, 3);
  assert.equal((await scene.run('ebpf', 'links', '--endpoint', 'x')).code, 5);
  const path = join(scene.cli.folder, 'n.sock');
  await using agent = await FakeAgent.open(path, 'n2', ({ kind }) => answers[kind], 'nftables');
  for (const command of [['ebpf', 'links'], ['flows'], ['flows', '--follow']]) {
    const { code, notes } = await scene.cli.run([...command, '--socket', agent.socket]);
    assert.deepEqual([code, /want ebpf/.test(notes.join())], [1, true], command.join(' '));
  }
  const nobody = await scene.cli.run(['flows', '--socket', join(scene.cli.folder, 'none')]);
  assert.equal(nobody.code, 6);
});

const denied = flowRecord({
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  verdict: 'deny',
  reason: 'policy',
  rule: 'NetworkPolicy/shop/db ingress rule 1',
});
const allowed = flowRecord({
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 6),
  service: 'shop/db',
  translatedDst: '10.0.0.9',
});

test('the flow log: who, to whom, why; the last ones, filtered', async () => {
  await using scene = await rig();
  scene.agent.tell([denied, allowed], 4);
  const { out, notes } = await scene.run('flows');
  assert.match(
    out,
    /\n03:04:05.678 +deny +TCP +shop\/web 10.0.0.1:40000 +10.0.0.2:80 +NetworkPolicy\/shop\/db ingress rule 1\n03:04:06.000 +allow +TCP .*shop\/db 10.0.0.2:80 > 10.0.0.9:80 +NetworkPolicy\/shop\/web egress rule 0\n$/,
  );
  assert.match(notes.join(), /n1: 4 packets were decided but could not be told/);
  const count = async (...args: readonly string[]) =>
    JSON.parse((await scene.run('flows', '-o', 'json', ...args)).out)[0].flows.length;
  assert.deepEqual(
    [
      await count(),
      await count('--denied'),
      await count('--endpoint', 'web'),
      await count('--endpoint', 'b'),
    ],
    [2, 1, 2, 0],
  );
  assert.deepEqual([await count('--address', '10.0.0.9'), await count('--limit', '1')], [1, 1]);
  const [first] = JSON.parse((await scene.run('flows', '-o', 'json', '--denied')).out);
  assert.deepEqual(first, { node: 'n1', flows: [denied], forgotten: 0, lost: 4, leftOut: 0 });
  assert.match((await scene.run('flows', '--limit', '1')).notes.join(), /1 older flows not shown/);
  assert.equal((await scene.run('flows', '--limit', 'x')).code, 2);
});

test('counted for each time, what differs in source port is one row', async () => {
  await using scene = await rig();
  scene.agent.tell([denied, { ...denied, src: { ...denied.src, port: 40_001 } }, allowed]);
  const { out } = await scene.run('flows', '--per', '1s');
  const [first, second] = out.split('\n\n');
  assert.match(
    first ?? '',
    /^n1, 2026-01-02T03:04:05.000Z to 2026-01-02T03:04:06.000Z\nRECORDS.*\n2 +03:04:05.678 +deny +TCP +shop\/web 10.0.0.1 /,
  );
  assert.match(second ?? '', /\n1 +03:04:06.000 +allow/);
  const [answer] = JSON.parse((await scene.run('flows', '--per', '1s', '-o', 'json')).out);
  assert.deepEqual(
    answer.windows.map(({ rows }: { rows: { records: number }[] }) => rows.map(({ records }) => records)),
    [[2], [1]],
  );
  assert.equal((await scene.run('flows', '--per', '1ms')).code, 2);
});

test('following prints what comes, with what was lost in its place, until the agent ends', async () => {
  await using scene = await rig();
  const following = scene.run('flows', '--follow', '-o', 'json', '--denied');
  const people = scene.run('flows', '--follow');
  await scene.agent.untilFollowed(2);
  scene.agent.tell([denied, allowed], 2);
  scene.agent.endStreams();
  const { code, out, notes } = await following;
  assert.deepEqual(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { node: 'n1', lost: 2 },
      { node: 'n1', ...denied },
    ],
  );
  assert.deepEqual([code, /ended/.test(notes.join())], [6, true]);
  assert.match((await people).out, /^03:04:05.678 +deny.*\n03:04:06.000 +allow.*\n$/);
});

test('an agent that is killed ends what followed it; windows that were open are printed all the same', async () => {
  await using scene = await rig();
  const killed = scene.run('flows', '--follow');
  const counting = scene.run('flows', '--follow', '--per', '1h');
  await scene.agent.untilFollowed(2);
  scene.agent.tell([denied, { ...denied, timeMs: denied.timeMs + 1 }]);
  scene.agent.endStreams();
  assert.match((await counting).out, /^n1, 2026-01-02T03:00:00.000Z to .*\nRECORDS.*\n2 +03:04:05.679 +deny/);
  const again = scene.run('flows', '--follow');
  await scene.agent.untilFollowed(3);
  await scene.agent[Symbol.asyncDispose]();
  assert.deepEqual([(await killed).code, (await again).code], [6, 6]);
});

test('a Log rule writes a line to the log of the agent', async () => {
  await using scene = await rig();
  scene.agent.tell([
    { ...allowed, logs: [{ rule: 'NetworkPolicy/shop/db ingress rule 0', prefix: 'calico-packet' }] },
  ]);
  const [line = ''] = scene.agent.log;
  const { msg, rule, flow } = JSON.parse(line);
  assert.deepEqual([msg, rule, flow.dst.port], ['calico-packet', 'NetworkPolicy/shop/db ingress rule 0', 80]);
  assert.equal(scene.agent.log.length, 1);
});

test('of several nodes each says which, and one that cannot answer does not keep the others', async () => {
  await using scene = await rig();
  const path = join(scene.cli.folder, 'n.sock');
  await using other = await FakeAgent.open(path, 'n2', ({ kind }) => answers[kind]);
  const { askAll } = await import('./agent-inspection.ts');
  const { ebpfTable } = await import('./ebpf-tables.ts');
  const notes: string[] = [];
  const io = {
    env: {},
    out: () => {},
    note: (text: string) => void notes.push(text),
    readStdin: () => '',
    stdin: () => process.stdin,
  };
  const sockets = [scene.agent.socket, other.socket, join(scene.cli.folder, 'none')];
  const { answers: links, wantAll } = await askAll<typeof answers.links>(sockets, '/ebpf/links', {}, io);
  assert.match(
    ebpfTable('links', links, { wide: false, several: true }),
    /^NODE +LINK.*\nn1 +cali2.*\nn2 +cali2.*\n$/,
  );
  assert.match(notes.join(), /cannot reach/);
  assert.throws(wantAll, { exitCode: 7 });
});
