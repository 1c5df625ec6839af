// SPDX-License-Identifier: Apache-2.0
/** Programs at both sides of an interface, the same by tcx and by clsact. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Assembler } from '../../src/kernel/bpf/asm.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { loadClassifier, programIdOf } from '../../src/kernel/bpf/load.ts';
import { HookLinks } from '../../src/kernel/hook-links.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseIfName } from '../../src/lib/if-name.ts';
import { rootTest } from './root-test.ts';

function program(name: string, verdict: number): Fd {
  return loadClassifier({ name, instructions: new Assembler().mov('r0', verdict).exit().assemble() });
}

for (const by of ['tcx', 'clsact'] as const) {
  rootTest(`hook links by ${by}: put, swapped, found again, put back, gone with their interface`, (rig) => {
    const folder = mkdtempSync(join(tmpdir(), 'muslin-hooks-'));
    mountBpffs(folder);
    try {
      rig.netns().run(() => lifeOf(new HookLinks(join(folder, 'a'), by), by));
    } finally {
      sys.umount(folder, MNT_DETACH);
      rmSync(folder, { recursive: true });
    }
  });
}

rootTest(
  'hook links by tcx: who replaced a pin may put there the program whose link is still going',
  (rig) => {
    const folder = mkdtempSync(join(tmpdir(), 'muslin-hooks-'));
    mountBpffs(folder);
    try {
      rig.netns().run(() => {
        const hooks = new HookLinks(join(folder, 'a'), 'tcx');
        using rt = Rtnetlink.open();
        using closed = program('closed', 2);
        using others = program('others', 2);
        const name = parseIfName('cali0');
        const { index } = rt.links.createVeth({ name }, { name: 'peer' });
        hooks.put(name, index, 'ingress', closed);
        renameSync(join(folder, 'a', 'cali0-in'), join(folder, 'old')); // another process has made a link of its own
        hooks.put(name, index, 'ingress', others);
        rmSync(join(folder, 'old'));
        assert.ok(hooks.put(name, index, 'ingress', closed));
        assert.equal(hooks.at(name, 'ingress')?.programId, programIdOf(closed));
      });
    } finally {
      sys.umount(folder, MNT_DETACH);
      rmSync(folder, { recursive: true });
    }
  },
);

function lifeOf(hooks: HookLinks, by: 'tcx' | 'clsact'): void {
  using rt = Rtnetlink.open();
  using first = program('first', 2);
  using second = program('second', -1);
  const name = parseIfName('cali0');
  const { index } = rt.links.createVeth({ name }, { name: 'peer' });
  assert.equal(hooks.at(name, 'ingress'), null);
  assert.ok(hooks.put(name, index, 'ingress', first));
  assert.equal(hooks.put(name, index, 'ingress', first), false, 'it is there');
  assert.deepEqual(hooks.at(name, 'ingress'), { ifIndex: index, programId: programIdOf(first) });
  assert.equal(hooks.at(name, 'egress'), null, 'the other side is its own');
  assert.ok(hooks.put(name, index, 'ingress', second));
  assert.ok(hooks.put(name, index, 'egress', first));
  assert.deepEqual(hooks.at(name, 'ingress'), { ifIndex: index, programId: programIdOf(second) });
  assert.deepEqual(hooks.names(), [name]);
  hooks.remove(name);
  assert.deepEqual([hooks.at(name, 'ingress'), hooks.at(name, 'egress'), hooks.names()], [null, null, []]);
  hooks.put(name, index, 'ingress', first);
  rt.links.delete(index);
  assert.equal(hooks.at(name, 'ingress')?.ifIndex ?? 0, 0);
  const again = rt.links.createVeth({ name }, { name: 'peer' }).index;
  assert.ok(hooks.put(name, again, 'ingress', first));
  assert.deepEqual(hooks.at(name, 'ingress'), { ifIndex: again, programId: programIdOf(first) });
  assert.deepEqual(hooks.names(), [name], by);
}
