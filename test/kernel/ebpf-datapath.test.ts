// SPDX-License-Identifier: Apache-2.0
/** Maps of agents before us: adopted, grown, carried over from another layout. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Datapath } from '../../src/drivers/ebpf/datapath.ts';
import { flowBytes, tupleBytes } from '../../src/drivers/ebpf/layout.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { rootTest } from './root-test.ts';

const flow = [new Uint8Array(tupleBytes).fill(7), new Uint8Array(flowBytes).fill(9)] as const;

rootTest('flows outlive the agent, a map of another size, and another layout of the maps', () => {
  const directory = mkdtempSync(join(tmpdir(), 'muslin-datapath-'));
  mountBpffs(directory);
  try {
    const keepsFlow = (sizes: { readonly [map: string]: number }, want: number) => {
      using datapath = Datapath.open(join(directory, 'node'), sizes);
      const { flows } = { flows: datapath.map('flows') };
      if (want === 0) flows.set(...flow);
      assert.deepEqual(flows.get(flow[0]), flow[1]);
      if (want > 0) assert.equal(flows.info.maxEntries, want);
      return datapath.forgetOtherLayouts();
    };
    mkdirSync(join(directory, 'node'));
    keepsFlow({ flows: 1000 }, 0);
    keepsFlow({ flows: 1000 }, 1000);
    keepsFlow({ flows: 2000 }, 2000);
    renameSync(join(directory, 'node', 'maps1'), join(directory, 'node', 'maps0'));
    assert.equal(keepsFlow({ flows: 3000 }, 3000), 1);
    assert.ok(!existsSync(join(directory, 'node', 'maps0')));
    assert.deepEqual(readdirSync(join(directory, 'node')), ['maps1']);
  } finally {
    sys.umount(directory, MNT_DETACH);
    rmSync(directory, { recursive: true });
  }
});
