// SPDX-License-Identifier: Apache-2.0
/**
 * What TypeScript says of bpf/types.h is what clang makes of it: each offset, size and number of src/drivers/ebpf/layout.ts
 * against BTF, and the built objects against the headers of today.
 *
 * Enums and records that are no map's leave no trace in the objects, so a source of the test's own names each type once.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as layout from '../../src/drivers/ebpf/layout.ts';
import { reasons } from '../../src/drivers/ebpf/reasons.ts';
import { Btf, type BtfType } from '../../src/kernel/bpf/btf.ts';
import { parseElf } from '../../src/kernel/bpf/elf.ts';
import { compileBpf } from './compile.ts';

const bpf = new URL('../../bpf/', import.meta.url).pathname;

type Numbers = { readonly [name: string]: number };

/** Where a layout's words are not the C words in camel case. */
type Words = { readonly [name: string]: string };

const structs: { readonly [name: string]: readonly [at: Numbers, bytes: number | null, words?: Words] } = {
  packet: [
    layout.packetAt,
    layout.packetBytes,
    {
      src: 'now.src',
      dst: 'now.dst',
      srcPort: 'now.src_port',
      dstPort: 'now.dst_port',
      protocol: 'now.protocol',
      arrivedDst: 'arrived.dst',
      arrivedDstPort: 'arrived.dst_port',
    },
  ],
  set_key: [layout.setKeyAt, layout.setKeyBytes],
  net_key: [layout.netKeyAt, layout.netKeyBytes],
  link: [layout.linkAt, layout.linkBytes],
  route_key: [layout.routeKeyAt, layout.routeKeyBytes],
  route: [layout.routeAt, layout.routeBytes, { ifIndex: 'ifindex' }],
  settings: [layout.settingsAt, layout.settingsBytes],
  frontend_key: [layout.frontendKeyAt, layout.frontendKeyBytes],
  frontend: [layout.frontendAt, layout.frontendBytes],
  backend_key: [{ list: 0, index: 4 }, layout.backendKeyBytes],
  backend: [layout.backendAt, layout.backendBytes],
  member_key: [layout.memberKeyAt, layout.memberKeyBytes],
  source_key: [layout.sourceKeyAt, layout.sourceKeyBytes],
  tuple: [layout.tupleAt, layout.tupleBytes],
  flow: [
    layout.flowAt,
    layout.flowBytes,
    { inIfIndex: 'in_ifindex', outIfIndex: 'way.out_ifindex', forward: 'way.forward' },
  ],
  event: [layout.eventAt, layout.eventBytes, { ifIndex: 'ifindex' }],
};

/** Each name of a layout is the C name behind the prefix. */
const enums: { readonly [name: string]: readonly [prefix: string, numbers: Numbers, words?: Words] } = {
  packet_flags: ['PACKET_', layout.packetFlags],
  program: ['PROGRAM_', layout.programIndex, { from_workload_new: 'FROM_WORKLOAD' }],
  link_kind: ['LINK_', layout.linkKinds],
  stage: ['STAGE_', layout.linkStages],
  route_flags: ['ROUTE_', layout.routeFlags],
  setting_flags: ['SETTING_', layout.settingFlags],
  scope: ['SCOPE_', layout.scopes],
  frontend_flags: ['FRONTEND_', layout.frontendFlags],
  flow_flags: ['FLOW_', layout.flowFlags],
  forward: ['FORWARD_', layout.forwards],
  hook: ['HOOK_', layout.hooks],
  verdict: ['VERDICT_', layout.verdicts],
  reason: [
    'REASON_',
    Object.fromEntries([...reasons].map(([number, { word }]) => [word.replaceAll('-', '_'), number])),
  ],
  constants: [
    'IS_',
    {
      maximumStages: layout.maximumStages,
      maximumLogs: layout.maximumLogs,
      stagesPerFamily: layout.stagesPerFamily,
      anyNetwork: layout.anyNetwork,
      ...layout.tcpFlags,
    },
  ],
};

const source = `
#include "events.h"
char LICENSE[] SEC("license") = "GPL";
enum constants {
  IS_MAXIMUM_STAGES = MAX_STAGES,
  IS_MAXIMUM_LOGS = MAX_LOGS,
  IS_STAGES_PER_FAMILY = sizeof(((struct link *)0)->policy[0]) / sizeof(__u32),
  IS_ANY_NETWORK = ANY_NETWORK,
  IS_FIN = TCP_FIN, IS_SYN = TCP_SYN, IS_RST = TCP_RST, IS_ACK = TCP_ACK,
};
${Object.keys(structs)
  .map((name) => `struct ${name} the_${name};`)
  .join('\n')}
${Object.keys(enums)
  .map((name) => `enum ${name} of_${name};`)
  .join('\n')}
`;

const skip = existsSync('/usr/bin/clang') ? false : 'needs clang';
let compiled: Btf | null = null;

function headers(): Btf {
  compiled ??= btfOf(compileBpf(source, [`-I${bpf}`, '-Wno-unused-function']));
  return compiled;
}

function btfOf(object: Uint8Array): Btf {
  const section = parseElf(object).sections.find(({ name }) => name === '.BTF');
  assert.ok(section, 'the object has BTF');
  return Btf.parse(section.bytes);
}

function typeNamed(btf: Btf, kind: 'struct' | 'enum', name: string): BtfType {
  const type = btf.types.find((each) => each.kind === kind && each.name === name);
  assert.ok(type, `${kind} ${name}`);
  return type;
}

/** struct btf_member: offset in bits behind name and type; struct btf_enum: the value behind the name. */
function rowsOf(btf: Btf, type: BtfType, bytes: number, valueAt: number): ReadonlyMap<string, number> {
  const view = new DataView(btf.bytes.buffer, btf.bytes.byteOffset, btf.bytes.byteLength);
  return new Map(
    Array.from({ length: type.vlen }, (_, i) => {
      const at = type.at + 12 + i * bytes;
      return [btf.string(view.getUint32(at, true)), view.getUint32(at + valueAt, true)] as const;
    }),
  );
}

/** @param path - `way.forward`. */
function offsetOf(btf: Btf, struct: BtfType, path: string): number {
  const [name = '', ...rest] = path.split('.');
  const bits = rowsOf(btf, struct, 12, 8).get(name);
  assert.ok(bits !== undefined, `${struct.name} has no field ${name}`);
  if (rest.length === 0) return bits / 8;
  const member = btf.members(struct).find((each) => each.name === name);
  return bits / 8 + offsetOf(btf, btf.resolve(member?.type ?? 0), rest.join('.'));
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

for (const [name, [at, bytes, words]] of Object.entries(structs)) {
  test(`struct ${name}: every offset, and the size`, { skip }, () => {
    const btf = headers();
    const struct = typeNamed(btf, 'struct', name);
    const found = Object.keys(at).map((field) => [
      field,
      offsetOf(btf, struct, words?.[field] ?? snake(field)),
    ]);
    assert.deepEqual(Object.fromEntries(found), at);
    assert.equal(struct.sizeOrType, bytes);
  });
}

for (const [name, [prefix, numbers, words]] of Object.entries(enums)) {
  test(`enum ${name}: every number`, { skip }, () => {
    const btf = headers();
    const values = rowsOf(btf, typeNamed(btf, 'enum', name), 8, 4);
    const cName = (field: string) => prefix + (words?.[field] ?? snake(field)).toUpperCase();
    assert.deepEqual(
      Object.fromEntries(Object.keys(numbers).map((field) => [field, values.get(cName(field))])),
      numbers,
    );
  });
}

test('every reason has a word, and every word a sentence', { skip }, () => {
  const btf = headers();
  const values = rowsOf(btf, typeNamed(btf, 'enum', 'reason'), 8, 4);
  const named = [...values].filter(([name]) => name !== 'REASONS').map(([, number]) => number);
  assert.deepEqual([...reasons.keys()], named);
  assert.equal(
    [...reasons.values()].every(({ advice }) => advice.length > 20),
    true,
  );
});

test('nothing of the layout is left out here', () => {
  const compared: readonly unknown[] = [
    ...Object.values(structs).flat(),
    ...Object.values(enums).map(([, numbers]) => numbers),
    ...Object.values(enums.constants?.[1] ?? {}),
    layout.tcpFlags,
  ];
  const missing = Object.entries(layout).filter(([, value]) => !compared.includes(value));
  assert.deepEqual(
    missing.map(([name]) => name),
    [],
  );
});

const built = ['classifier', 'sweep', 'untracked', 'balancer'] as const;

for (const name of built) {
  const file = `${bpf}build/${name}.o`;
  const reason = skip || (existsSync(file) ? false : 'needs the objects: make');
  test(`bpf/build/${name}.o was compiled from the headers of today`, { skip: reason }, () => {
    const [object, today] = [btfOf(readFileSync(file)), headers()];
    const shared = Object.keys(structs).filter((each) =>
      object.types.some((type) => type.kind === 'struct' && type.name === each),
    );
    const shapeOf = (btf: Btf) =>
      shared.map((each) => {
        const type = typeNamed(btf, 'struct', each);
        return [each, type.sizeOrType, ...rowsOf(btf, type, 12, 8)];
      });
    assert.ok(shared.length >= 10, 'most structs are there');
    assert.deepEqual(shapeOf(object), shapeOf(today));
  });
}
