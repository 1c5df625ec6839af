// SPDX-License-Identifier: Apache-2.0
/**
 * The eBPF driver on the real kernel: restarts, tampering and what does not fit, under connections that must live and probes
 * that must not pass. What it took to put things right goes to standard error, and is not judged.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { anyPeer } from '../../src/calc/resolve-rule.ts';
import type { DropReason } from '../../src/contract/flow.ts';
import { dropCount } from '../../src/drivers/ebpf/drop-counts.ts';
import { flowAt, linkAt, programIndex, routeAt, settingsAt } from '../../src/drivers/ebpf/layout.ts';
import { reasons } from '../../src/drivers/ebpf/reasons.ts';
import { detachLink, openPin } from '../../src/kernel/bpf/link.ts';
import type { BpfMap } from '../../src/kernel/bpf/map.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { EbpfScene, forbiddenPort, idOf, rule } from '../support/ebpf-scene.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { rootTest } from './root-test.ts';

const usual = 'a:80/4 a:80/6';

function note(text: string): void {
  process.stderr.write(`ebpf-driver: ${text}\n`);
}

rootTest(
  'eBPF driver: a restart changes nothing that packets see, and no byte of a connection is lost',
  async () => {
    await using scene = new EbpfScene();
    assert.equal(await scene.verdicts(), '', 'born closed');
    const first = await scene.start();
    assert.deepEqual([first.failed, first.openEndpoints.length], [[], 3]);
    assert.equal((await scene.apply()).changed, 0, 'a second apply is silent');
    assert.equal((await scene.resync()).changed, 0, 'also after reading everything back');
    const traffic = await scene.traffic();
    for (let i = 0; i < 3; i++) {
      await scene.stop();
      await traffic.goOn(20);
      assert.deepEqual((await scene.start()).failed, []);
      await scene.quiet();
      await traffic.goOn(20);
    }
    await traffic.stop();
    traffic.assertUnharmed();
    note(`3 restarts, ${traffic.counts.messages} messages, ${traffic.counts.forbidden} forbidden probes`);
    assert.equal(await scene.verdicts(), usual);
  },
);

rootTest(
  'eBPF driver: an agent that finds everything changed is right at its first apply, and never open before',
  async () => {
    await using scene = new EbpfScene({ pods: ['a', 'b', 'c', 'd'] });
    await scene.start();
    const traffic = await scene.traffic();
    await scene.stop();
    scene.rig.unplug('d'); // its address is another's when the next agent starts
    scene.rig.plugIn('e', 4);
    scene.members('e');
    scene.forget('d');
    scene.endpoint('e');
    scene.endpoint('c', { adminUp: false });
    scene.forget('a');
    await traffic.goOn(5);
    const report = await scene.start();
    assert.deepEqual([report.failed, [...report.openEndpoints].sort()], [[], [idOf('b'), idOf('e')]]);
    assert.equal(await scene.verdicts(), '', 'a is unknown now, c is down');
    assert.ok(await scene.rig.connects('e', 'b', 80, 4));
    await scene.quiet();
    await traffic.stop('datagrams');
    assert.deepEqual(traffic.delivered, []);
    note(`everything changed, ${traffic.counts.forbidden} forbidden probes`);
  },
);

rootTest(
  'eBPF driver: programs that a stranger detached are put back, and nothing forbidden passes meanwhile',
  async () => {
    await using scene = new EbpfScene();
    await scene.start();
    const traffic = await scene.traffic();
    const times: number[] = [];
    for (const name of ['b', 'c', 'a']) {
      for (const side of ['in', 'out']) {
        const detach = () => {
          using link = openPin(join(scene.rig.driverOptions.bpf, `cali${name}-${side}`));
          assert.ok(link);
          detachLink(link);
        };
        times.push(await scene.repaired(`the program of ${name}, ${side}`, detach));
        await traffic.goOn(5);
      }
    }
    const folder = scene.rig.driverOptions.bpf;
    const unpin = () => {
      for (const pin of readdirSync(folder)) if (pin.startsWith('cali')) rmSync(join(folder, pin));
    };
    times.push(await scene.repaired('all pins of links', unpin));
    await traffic.goOn(5);
    await traffic.stop();
    traffic.assertUnharmed();
    assert.equal(await scene.verdicts(), usual);
    note(
      `detached: back after ${times.map(Math.round).join(', ')} ms; ${traffic.counts.forbidden} forbidden probes`,
    );
  },
);

rootTest(
  'eBPF driver: pins of maps that a stranger deleted are back before a restart needs them',
  async () => {
    await using scene = new EbpfScene();
    await scene.start();
    const traffic = await scene.traffic();
    const folder = dirname(scene.pinOf('flows'));
    const ms = await scene.repaired('the folder of maps', () => rmSync(folder, { recursive: true }));
    await scene.repaired('one pin', () => rmSync(join(folder, 'flows')));
    await traffic.goOn(5);
    await scene.stop();
    await scene.start();
    await traffic.goOn(5);
    await traffic.stop();
    traffic.assertUnharmed();
    note(`maps pinned again after ${Math.round(ms)} ms`);
  },
);

/** Each keeps b's connections alive once it is put right, as TCP repeats what was lost. */
const harms: { readonly [what: string]: (scene: EbpfScene) => void } = {
  'the settings changed': (scene) => alter(scene, 'settings', settingsAt.endpointToHost, 7),
  'the generation turned back': (scene) => alter(scene, 'settings', settingsAt.generation, 0),
  'rows of links deleted': (scene) => clear(scene, 'links'),
  'rows of links led to other policies': (scene) => alter(scene, 'links', linkAt.policy, 0),
  'rows of links of another endpoint': (scene) => alter(scene, 'links', linkAt.endpoint, 12_345),
  'routes deleted': (scene) => clear(scene, 'routes'),
  'routes of other links': (scene) => alter(scene, 'routes', routeAt.ifIndex, 1),
  'members of sets deleted': (scene) => clear(scene, 'sets'),
  'strange members in sets': (scene) => addMembers(scene),
  'a C program taken out': (scene) => takeOut(scene, programIndex.route),
  'all programs of policies taken out': (scene) => {
    for (let place: number = programIndex.firstPolicy; place < 64; place++) takeOut(scene, place);
  },
};

rootTest('eBPF driver: what another process wrote to maps is put right, and connections live', async () => {
  await using scene = new EbpfScene();
  await scene.start();
  const traffic = await scene.traffic();
  await traffic.stop(); // some of it lets more pass until it is found
  for (const [what, harm] of Object.entries(harms)) {
    const ms = await scene.repaired(what, () => harm(scene));
    note(`${what}: right after ${Math.round(ms)} ms`);
    assert.equal(await scene.verdicts([80, forbiddenPort]), usual, what);
    await traffic.start();
    await traffic.goOn(5);
    await traffic.stop();
  }
  clear(scene, 'flows'); // they are nobody's to restore: policy looks at what goes on
  await traffic.start();
  await traffic.goOn(10);
  await traffic.stop();
  traffic.assertUnharmed();
});

/** A word of the value of each row. */
function alter(scene: EbpfScene, name: string, at: number, value: number): void {
  using map = scene.map(name);
  for (const [key, row] of rowsOf(map)) {
    new DataView(row.buffer, row.byteOffset).setUint32(at, value, true);
    map.set(key, row);
  }
}

function clear(scene: EbpfScene, name: string): void {
  using map = scene.map(name);
  for (const [key] of rowsOf(map)) map.delete(key);
}

function rowsOf(map: BpfMap): (readonly [Uint8Array, Uint8Array])[] {
  return [...map.entries()].map(([key, value]) => [key.slice(), value.slice()] as const);
}

/** c's address wherever a's is. */
function addMembers(scene: EbpfScene): void {
  using map = scene.map('sets');
  const rows = rowsOf(map);
  assert.ok(rows.length > 0);
  for (const [key, value] of rows) {
    key[key.length - 1] = 3;
    map.set(key, value);
  }
}

function takeOut(scene: EbpfScene, place: number): void {
  using programs = scene.map('programs');
  programs.delete(new Uint8Array(Uint32Array.of(place).buffer));
}

rootTest('eBPF driver: a flush of nftables does nothing, with the agent alive or dead', async () => {
  await using scene = new EbpfScene();
  await scene.start();
  const traffic = await scene.traffic();
  const flush = () => scene.rig.node.run(() => execFileSync('nft', ['flush', 'ruleset']));
  flush();
  await traffic.goOn(10);
  await scene.stop();
  flush();
  await traffic.goOn(10);
  await scene.start();
  await traffic.goOn(10);
  await traffic.stop();
  traffic.assertUnharmed();
  assert.match(
    scene.rig.node.run(() => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })),
    /muslin/,
  );
});

rootTest(
  'eBPF driver: a link that goes and comes back under its name is closed, then open by its policy',
  async () => {
    await using scene = new EbpfScene();
    await scene.start();
    scene.rig.unplug('b');
    scene.rig.plugIn('b', 2);
    scene.listen('b');
    assert.equal(await scene.verdicts().then((text) => text.includes('c')), false);
    await scene.until(async () => (await scene.verdicts()) === usual, 'b is reached by its policy again');
  },
);

rootTest(
  'eBPF driver: endpoints that swap addresses swap what they may, and no flow goes on under the other',
  async () => {
    await using scene = new EbpfScene();
    await scene.start();
    const traffic = await scene.traffic();
    const [a, c] = [scene.rig.workload('a'), scene.rig.workload('c')];
    scene.endpoint('a', { addresses: c.addresses });
    scene.endpoint('c', { addresses: a.addresses });
    assert.deepEqual((await scene.apply()).failed, []);
    await scene.quiet();
    const before = traffic.counts.messages;
    await scene.until(() => flowEndpoints(scene).length === 0, 'the flows are forgotten');
    assert.equal(await scene.verdicts(), '', 'their own stacks have not followed: what they send is forged');
    assert.deepEqual(traffic.delivered, []);
    note(`swapped: ${traffic.counts.messages - before} messages sent in vain`);
    scene.endpoint('a');
    scene.endpoint('c');
    await scene.apply();
    await scene.quiet();
    await traffic.stop('datagrams');
    assert.deepEqual(traffic.delivered, []);
    assert.equal(await scene.verdicts(), usual);
  },
);

rootTest("eBPF driver: a link with a workload's name that nobody knows is closed", async (rig) => {
  await using scene = new EbpfScene();
  await scene.start();
  const stranger = rig.netns();
  using host = scene.rig.node.run(() => Rtnetlink.open());
  const link = host.links.createVeth({ name: 'calistranger' }, { name: 'eth0', netns: stranger });
  host.links.set(link.index, { up: true });
  const closed = () => {
    using pin = openPin(join(scene.rig.driverOptions.bpf, 'calistranger-in'));
    return pin !== null;
  };
  await scene.until(closed, 'the stranger has our program');
  await scene.quiet();
  host.links.delete(link.index);
});

rootTest('eBPF driver: an endpoint that is down is closed, and open when it is up', async () => {
  await using scene = new EbpfScene();
  scene.endpoint('b', { adminUp: false });
  const report = await scene.start();
  assert.deepEqual([...report.openEndpoints].sort(), [idOf('a'), idOf('c')]);
  assert.equal(await scene.verdicts(), '');
  scene.endpoint('b');
  await scene.apply();
  assert.equal(await scene.verdicts(), usual);
});

rootTest(
  'eBPF driver: of two endpoints that claim one link neither is open, and both are named',
  async () => {
    await using scene = new EbpfScene();
    scene.endpoint('c', { ifName: scene.rig.workload('b').ifName });
    const report = await scene.start();
    assert.deepEqual([...report.openEndpoints], [idOf('a')]);
    assert.deepEqual(report.failed.map(({ key }) => key).sort(), [idOf('b'), idOf('c')]);
    assert.match(report.failed[0]?.message ?? '', /got link calib, .* want a link for each endpoint/);
    assert.equal(await scene.verdicts(), '');
    scene.endpoint('c');
    assert.deepEqual((await scene.apply()).failed, []);
    assert.equal(await scene.verdicts(), usual);
  },
);

for (const [name, size, words] of [
  ['links', 2, /map links has room for 2 rows, want 3/],
  ['routes', 5, /map routes has room for 5 rows, want 8/],
  ['sets', 1, /map sets has room for 1 rows, want 2/],
] as const) {
  rootTest(
    `eBPF driver: with too small a map ${name} endpoints are named and closed, the others are open`,
    async () => {
      await using scene = new EbpfScene({ mapSizes: { [name]: size } });
      const report = await scene.start();
      const refused = report.failed.filter(({ key }) => key.startsWith('WorkloadEndpoint/'));
      assert.equal(refused.length, 1, JSON.stringify(report.failed));
      assert.match(refused[0]?.message ?? '', words);
      assert.equal(report.openEndpoints.length, 2);
      assert.ok(!report.openEndpoints.map(String).includes(refused[0]?.key ?? ''));
      assert.deepEqual(
        (await scene.apply()).failed.map(({ key }) => key),
        report.failed.map(({ key }) => key),
      );
    },
  );
}

rootTest('eBPF driver: a policy that finds no room closes its endpoint, and no other', async () => {
  const ports = Array.from({ length: 2000 }, (_, i) =>
    rule({ protocol: 6, dst: { ...anyPeer, ports: [{ first: 2 * i + 1, last: 2 * i + 1 }] } }),
  );
  await using scene = new EbpfScene({ mapSizes: { programs: 37 }, ingress: ports });
  const report = await scene.start();
  note(JSON.stringify(report.failed));
  assert.deepEqual([...report.openEndpoints].sort(), [idOf('a'), idOf('c')]);
});

rootTest('eBPF driver: a full table of flows refuses and counts new ones, and old ones live', async () => {
  await using scene = new EbpfScene({ mapSizes: { flows: 8 } });
  await scene.start();
  const traffic = await scene.traffic([]);
  const refusedBefore = drops(scene, 'table-full');
  for (let i = 0; i < 20; i++) await scene.rig.connects('a', 'b', 80, 4);
  assert.ok(drops(scene, 'table-full') > refusedBefore, 'refusals are counted');
  await traffic.goOn(10);
  await traffic.stop();
  traffic.assertUnharmed();
});

function drops(scene: EbpfScene, word: DropReason): number {
  const [number] = [...reasons].find(([, reason]) => reason.word === word) ?? [];
  assert.ok(number !== undefined);
  using map = scene.map('drops');
  return dropCount(map, number);
}

rootTest(
  'eBPF driver: who gets the address of a workload that went does not continue its flows',
  async () => {
    await using scene = new EbpfScene();
    await scene.start();
    const traffic = await scene.traffic();
    await traffic.goOn(5);
    scene.rig.unplug('b');
    scene.forget('b');
    scene.rig.plugIn('d', 2);
    scene.endpoint('d', { tiers: [], profiles: [] });
    await scene.apply();
    await scene.quiet();
    using ear = new PacketSocket(scene.rig.workload('d').netns, 'eth0');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const heard = ear.received().filter(isTransport).length;
    await traffic.stop('datagrams');
    assert.equal(heard, 0, 'neither the old connections nor anything new came to the heir');
    assert.deepEqual(traffic.delivered, []);
  },
);

/** TCP or UDP in IPv4 or IPv6, behind Ethernet. */
function isTransport(frame: Uint8Array): boolean {
  const at = new DataView(frame.buffer, frame.byteOffset);
  const protocol =
    at.getUint16(12) === 0x0800 ? at.getUint8(23) : at.getUint16(12) === 0x86dd ? at.getUint8(20) : 0;
  return protocol === 6 || protocol === 17;
}

function flowEndpoints(scene: EbpfScene): bigint[] {
  using map = scene.map('flows');
  return rowsOf(map).map(([, row]) =>
    new DataView(row.buffer, row.byteOffset).getBigUint64(flowAt.endpoint, true),
  );
}
