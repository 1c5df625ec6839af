// SPDX-License-Identifier: Apache-2.0
/** What the doctor reads of a host: strangers' programs and tables, settings, and what the kernel can. */
import assert from 'node:assert/strict';
import { hostFacts } from '../../src/cli/host-facts.ts';
import { Assembler } from '../../src/kernel/bpf/asm.ts';
import { createLink } from '../../src/kernel/bpf/link.ts';
import { loadClassifier } from '../../src/kernel/bpf/load.ts';
import { NftSocket } from '../../src/kernel/nft/socket.ts';
import { writeSysctl } from '../../src/kernel/sysctl.ts';
import { rootTest } from './root-test.ts';

const loopback = 1;

rootTest("strangers' programs and tables are seen by name, in this network namespace alone", (rig) => {
  const netns = rig.netns();
  assert.deepEqual(netns.run(hostFacts).programs, []);
  const program = rig.use(
    loadClassifier({ name: 'stranger', instructions: new Assembler().mov('r0', 0).exit().assemble() }),
  );
  netns.run(() => {
    rig.use(createLink(program, loopback, 'ingress'));
    rig.use(new NftSocket()).commit([
      { op: 'add-table', table: { family: 4, name: 'kube-proxy' }, owned: false },
      { op: 'add-table', table: { family: 6, name: 'calico' }, owned: false },
    ]);
    writeSysctl(['net', 'ipv4', 'conf', 'lo', 'rp_filter'], 1);
  });
  const facts = netns.run(hostFacts);
  assert.deepEqual(facts.programs, ['lo ingress: stranger']);
  assert.deepEqual(facts.tables, ['ip kube-proxy', 'ip6 calico']);
  assert.equal(facts.rpFilters.lo, '1');
  assert.ok(facts.features.some(({ name, present }) => name === 'tcx' && present));
});
