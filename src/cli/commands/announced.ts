// SPDX-License-Identifier: Apache-2.0
/** Filters that are promised but not built yet: they answer `{"unsupported": true}`, so that callers can skip them. */
import type { Command } from 'commander';
import { group, unsupported } from '../command.ts';
import type { Io } from '../io.ts';

const groups = {
  policy: ['see what policies do', 'match-http', 'does an HTTP rule match a request'],
  bgp: ['see what is announced', 'render', 'the BGP configuration that manifests become'],
  ipam: ['addresses and pools', 'select', 'the pools that a request may draw from'],
} as const;

export function register(program: Command, io: Io): void {
  for (const [name, [about, verb, what]] of Object.entries(groups)) {
    unsupported(group(program, name, about).command(verb).description(`${what} (not supported yet)`), io);
  }
}
