// SPDX-License-Identifier: Apache-2.0
/**
 * Agents are killed with -9 at random moments, in the middle of changes that never stop. Nothing that was allowed all the
 * time may be lost, nothing that was forbidden all the time may arrive, and in the end all is as stored.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type DataplaneName, dataplaneNames } from '../../src/contract/config.ts';
import { AppError } from '../../src/lib/errors.ts';
import type { Resource } from '../../src/model/types.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { globalNetworkSet, globalPolicy, namespace, pod, tier } from '../support/resources.ts';
import { Traffic } from '../support/traffic.ts';

/** On each data plane. */
const wantedKills = 16;
const servers = ['default/server-1', 'default/server-2'];
const clients = ['default/client-1', 'default/client-2'];
const outsiders = ['default/outsider-1', 'default/outsider-2'];
const forbiddenPort = 9999;

for (const dataplane of dataplaneNames)
  labTest(
    `agents killed in the middle of changes lose and leak nothing (${dataplane})`,
    { nodes: 3, dataplane },
    (lab) => underFire(lab, dataplane),
  );

async function underFire(lab: LabRig, dataplane: DataplaneName): Promise<void> {
  const random = new Random(seedOfRun('agent-kill'));
  await lab.put(...lasting());
  await lab.settle();
  using traffic = await lastingTraffic(lab);
  await traffic.start();

  const end = new AbortController();
  const churning = churn(lab, random, end.signal);
  const kills = await killAgents(lab, random);
  end.abort();
  const changes = await churning;
  await allReady(lab);
  await lab.settle();
  await traffic.stop();

  const { messages, connections, forbidden } = traffic.counts;
  process.stderr.write(
    `agent-kill, ${dataplane}: ${kills.total} kills (${kills.ready} of ready agents), ${changes} changes, ${messages} messages, ` +
      `${connections} connections, ${forbidden} forbidden probes\n`,
  );
  traffic.assertUnharmed();
  assert.ok(kills.ready >= 3, `only ${kills.ready} agents were killed after they had got ready`);
  assert.ok(changes > kills.total, 'changes went on all the time');
  await aFreshAllowTakesEffect(lab);
  await allPairsAgreeWithPolicy(lab);
}

/** What holds during the whole test. Whatever else is allowed meanwhile has a port from 8000 to 8100. */
function lasting(): readonly Resource[] {
  const role = (path: string) => path.split('/')[1]?.split('-')[0] ?? '';
  const onNode = (path: string) => `node${path.endsWith('1') ? 1 : 2}`;
  const ports = ['80', '81/udp', '8000'];
  const toServers = [
    { action: 'Allow', protocol: 'TCP', destination: { selector: "role == 'server'", ports: [80] } },
    { action: 'Allow', protocol: 'UDP', destination: { selector: "role == 'server'", ports: [81] } },
  ];
  const fromClients = [
    {
      action: 'Allow',
      protocol: 'TCP',
      source: { selector: "role == 'client'" },
      destination: { ports: [80] },
    },
    {
      action: 'Allow',
      protocol: 'UDP',
      source: { selector: "role == 'client'" },
      destination: { ports: [81] },
    },
  ];
  return [
    namespace('moving', { team: 'a' }),
    tier('moving', 50, 'Pass'),
    ...[...servers, ...clients, ...outsiders].map((path) =>
      pod(path, { labels: { role: role(path), shade: 'red' }, ports, node: onNode(path) }),
    ),
    globalPolicy('server', {
      selector: "role == 'server'",
      order: 1,
      types: ['Ingress'],
      ingress: fromClients,
    }),
    globalPolicy('client', { selector: "role == 'client'", order: 1, types: ['Egress'], egress: toServers }),
  ];
}

async function lastingTraffic(lab: LabRig): Promise<Traffic> {
  const traffic = new Traffic();
  for (const server of servers) traffic.victim(server, lab.pod(server), forbiddenPort);
  for (const server of servers) {
    for (const family of [4, 6] as const) {
      const address = await lab.address(server, family);
      for (const client of clients) {
        const way = { name: `${client} to ${server} IPv${family}`, from: lab.pod(client) };
        traffic.flow('TCP', { ...way, to: { address, port: 80 } });
        traffic.flow('UDP', { ...way, to: { address, port: 81 } });
        traffic.forbid({ ...way, to: { address, port: forbiddenPort } });
      }
      traffic.fresh({
        name: `new to ${server} IPv${family}`,
        from: lab.pod('default/client-1'),
        to: { address, port: 80 },
      });
      for (const outsider of outsiders) {
        const way = { name: `${outsider} to ${server} IPv${family}`, from: lab.pod(outsider) };
        traffic.forbid({ ...way, to: { address, port: forbiddenPort } });
        traffic.forbid({ ...way, to: { address, port: 80 } });
      }
    }
  }
  return traffic;
}

/** @returns how many changes were written. */
async function churn(lab: LabRig, random: Random, signal: AbortSignal): Promise<number> {
  let changes = 0;
  for (; !signal.aborted; changes++) {
    try {
      await oneChange(lab, random);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'NOT_FOUND') throw error; // deletes what is not there
    }
    await new Promise((resolve) => setTimeout(resolve, random.below(30)));
  }
  return changes;
}

function oneChange(lab: LabRig, random: Random): Promise<void> {
  const number = random.below(8);
  const kind = random.below(100);
  if (kind < 40) return lab.put(randomPolicy(random, number));
  if (kind < 55) return lab.remove({ kind: 'GlobalNetworkPolicy', name: `moving.p${number}` });
  if (kind < 75) {
    const path = random.pick([...servers, ...clients, ...outsiders]);
    const role = path.split('/')[1]?.split('-')[0] ?? '';
    return lab.relabel(path, { role, shade: random.pick(['red', 'green', 'blue']) });
  }
  if (kind < 82) return lab.put(namespace('moving', { team: random.pick(['a', 'b']) }));
  if (kind < 90) return lab.put(randomSet(random, number));
  const path = `moving/extra-${random.below(4)}`;
  if (kind < 96) {
    return ifAbsent(lab, pod(path, { labels: { role: 'extra', shade: 'blue' }, ports: ['8000'] }));
  }
  return lab.remove({ kind: 'Pod', namespace: 'moving', name: path.split('/')[1] ?? '' });
}

/** A stored Pod is the lab's to change: it has a status. */
async function ifAbsent(lab: LabRig, resource: Resource): Promise<void> {
  const { namespace: space = '', name } = resource.metadata;
  const { items } = await lab.store.list('Pod', space);
  if (!items.some((item) => item.key.name === name)) await lab.put(resource);
}

function randomPolicy(random: Random, number: number): Resource {
  const shade = () => `shade == '${random.pick(['red', 'green', 'blue'])}'`;
  const peer = () => random.pick([shade(), "set == 'x'", "projectcalico.org/namespace == 'moving'", 'all()']);
  const port = () => random.pick([8000, 8100, '8000:8100', '8050:8099']);
  const rule = () => ({
    action: random.pick(['Allow', 'Deny', 'Pass']),
    protocol: 'TCP',
    source: { selector: peer() },
    destination: { ports: [port(), port()] },
  });
  return globalPolicy(`moving.p${number}`, {
    tier: 'moving',
    order: random.below(100),
    selector: random.pick([shade(), 'all()', "role in {'server', 'outsider'}"]),
    types: ['Ingress', 'Egress'],
    ingress: random.times(0, 4, rule),
    egress: random.times(0, 4, rule),
  });
}

function randomSet(random: Random, number: number): Resource {
  const nets = random.times(0, 5, () => `10.${65 + random.below(2)}.0.${random.below(16) * 16}/28`);
  return globalNetworkSet(`set-${number}`, 'x', [...new Set([...nets, 'fd65::/124'])]);
}

/** Half of them at any moment, so also while they start; half soon after they had got ready, so in the middle of applies. */
async function killAgents(lab: LabRig, random: Random): Promise<{ total: number; ready: number }> {
  const killed = new Set<number>();
  let ready = 0;
  while (killed.size < wantedKills) {
    const node = random.pick(lab.spec.nodes).name;
    const whenReady = random.chance(0.5);
    if (whenReady) await untilReady(lab, node);
    await new Promise((resolve) => setTimeout(resolve, random.below(whenReady ? 150 : 500)));
    const pid = lab.agentPid(node);
    if (killed.has(pid) || !isAgent(pid, lab)) continue;
    process.kill(pid, 'SIGKILL');
    killed.add(pid);
    if (whenReady) ready++;
  }
  return { total: killed.size, ready };
}

function isAgent(pid: number, lab: LabRig): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(lab.layout.datastore);
  } catch {
    return false; // it ended, and is not started anew yet
  }
}

async function allReady(lab: LabRig): Promise<void> {
  for (const { name } of lab.spec.nodes) await untilReady(lab, name);
}

function untilReady(lab: LabRig, node: string): Promise<void> {
  return lab.until(async () => (await lab.health(node, 'readiness')) === 204, `${node} is ready again`);
}

async function aFreshAllowTakesEffect(lab: LabRig): Promise<void> {
  const probe = [
    'probe',
    '--from',
    'default/outsider-1',
    '--to',
    'default/server-2',
    '--port',
    '80',
    '-o',
    'json',
  ];
  const reached = async () => JSON.parse((await lab.cli(...probe)).out)[0]?.allowed as boolean;
  assert.equal(await reached(), false, 'forbidden as before');
  const ingress = [{ action: 'Allow', protocol: 'TCP', source: { selector: "role == 'outsider'" } }];
  await lab.put(
    globalPolicy('late', { selector: "role == 'server'", order: 0, types: ['Ingress'], ingress }),
  );
  await lab.settle();
  assert.equal(await reached(), true, 'a policy written after the last kill');
}

async function allPairsAgreeWithPolicy(lab: LabRig): Promise<void> {
  for (const probe of [
    ['80', 'TCP'],
    ['8000', 'TCP'],
    ['8100', 'TCP'],
    ['81', 'UDP'],
  ]) {
    for (const ipVersion of ['4', '6']) {
      const [port = '', protocol = ''] = probe;
      const options = ['--port', port, '--protocol', protocol, '--ip-version', ipVersion];
      const { code, out, notes } = await lab.cli(
        'probe',
        '--against-policy',
        ...options,
        '--timeout',
        '300ms',
      );
      assert.equal(code, 0, `${protocol} ${port} IPv${ipVersion}\n${out}\n${notes}`);
    }
  }
}
