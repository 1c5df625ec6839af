// SPDX-License-Identifier: Apache-2.0
/** What `muslin doctor` looks at, read from this host, in this network namespace. Nothing stays changed. */
import { existsSync, readdirSync } from 'node:fs';
import { release } from 'node:os';
import { kernelFeatures } from '../kernel/bpf/features.ts';
import { attachedPrograms, supportsTcx } from '../kernel/bpf/link.ts';
import { programName } from '../kernel/bpf/load.ts';
import { NftSocket } from '../kernel/nft/socket.ts';
import { kernelAtLeast } from '../kernel/release.ts';
import { Rtnetlink } from '../kernel/rtnetlink/rtnetlink.ts';
import { hasSysctl, readSysctl } from '../kernel/sysctl.ts';
import type { HostFacts } from './doctor.ts';

/** @throws {KernelError} EPERM without root's rights. */
export function hostFacts(): HostFacts {
  using network = Rtnetlink.open();
  const links = network.links.list();
  return {
    release: release(),
    runsSince69: kernelAtLeast(6, 9),
    features: kernelFeatures(),
    rpFilters: rpFilters(['all', ...links.map(({ name }) => name)]),
    missingObjects: missingObjects(),
    programs: supportsTcx() ? links.flatMap(({ index, name }) => programsOf(index, name)) : [],
    tables: tables(),
  };
}

function rpFilters(names: readonly string[]): HostFacts['rpFilters'] {
  const paths = names.map((name) => [name, ['net', 'ipv4', 'conf', name, 'rp_filter']] as const);
  return Object.fromEntries(
    paths.filter(([, path]) => hasSysctl(path)).map(([name, path]) => [name, readSysctl(path)]),
  );
}

/** One object for each source. */
function missingObjects(): readonly string[] {
  const folder = new URL('../../bpf/', import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith('.c'));
  const objects = sources.map((name) => `build/${name.replace(/c$/, 'o')}`);
  return objects.filter((name) => !existsSync(new URL(name, folder))).map((name) => `bpf/${name}`);
}

function programsOf(index: number, link: string): readonly string[] {
  return (['ingress', 'egress'] as const).flatMap((side) =>
    attachedPrograms(index, side).flatMap((id) => {
      const name = programName(id);
      return name === null ? [] : [`${link} ${side}: ${name || `program ${id}`}`];
    }),
  );
}

function tables(): readonly string[] {
  using socket = new NftSocket();
  return ([4, 6] as const).flatMap((family) =>
    socket.tableNames(family).map((name) => `${family === 4 ? 'ip' : 'ip6'} ${name}`),
  );
}
