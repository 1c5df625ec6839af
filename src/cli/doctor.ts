// SPDX-License-Identifier: Apache-2.0
/** Whether a host can run a data plane: what was found on it, held against what each data plane wants. Pure. */
import type { DataplaneName } from '../contract/config.ts';

export interface HostFacts {
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly runsSince69: boolean;
  readonly features: readonly KernelFeature[];
  /** net.ipv4.conf.*.rp_filter, of `all` and of every link that has one. */
  readonly rpFilters: { readonly [link: string]: string };
  /** Programs that should be compiled, and are not. */
  readonly missingObjects: readonly string[];
  /** At tcx hooks of links: `eth0 ingress: NAME`. */
  readonly programs: readonly string[];
  /** `ip kube-proxy`. */
  readonly tables: readonly string[];
}

/** As kernel/bpf/features.ts finds them. */
export interface KernelFeature {
  readonly name: string;
  readonly present: boolean;
  readonly value: string;
  readonly neededFor: string;
  readonly since: string;
  readonly without: string;
}

export interface Finding {
  readonly dataplane: DataplaneName;
  readonly check: string;
  /** `missing`: it does not run so. `note`: it runs, and this should be known. */
  readonly state: 'ok' | 'missing' | 'note';
  readonly found: string;
  /** Empty when all is well. */
  readonly advice: string;
}

type Check = Omit<Finding, 'dataplane'>;

/** Without these nothing starts; others are made up for. */
const vital = [
  'btf',
  'ring buffer',
  'bpf_fib_lookup',
  'bpf_redirect_neigh',
  'bpf_redirect_peer',
  'bpf_for_each_map_elem',
];

export function findingsOf(dataplane: DataplaneName, facts: HostFacts): readonly Finding[] {
  const checks = dataplane === 'nftables' ? nftablesChecks(facts) : ebpfChecks(facts);
  return checks.map((check) => ({ dataplane, ...check }));
}

function nftablesChecks(facts: HostFacts): readonly Check[] {
  const tcx = facts.features.filter(({ name }) => name === 'tcx');
  return [kernelCheck(facts), ...tcx.map(featureCheck), ...tableChecks(facts), programCheck(facts)];
}

function ebpfChecks(facts: HostFacts): readonly Check[] {
  const release = { check: 'kernel', state: 'ok', found: facts.release, advice: '' } as const;
  return [
    release,
    ...facts.features.map(featureCheck),
    objectCheck(facts),
    rpFilterCheck(facts),
    programCheck(facts),
    ...tableChecks(facts),
  ];
}

function kernelCheck({ release, runsSince69 }: HostFacts): Check {
  const advice = 'want Linux 6.9 or later: nftables tables that outlive their owner';
  return {
    check: 'kernel',
    state: runsSince69 ? 'ok' : 'missing',
    found: release,
    advice: runsSince69 ? '' : advice,
  };
}

/** Hardening slows down loading large programs ten to twenty times. */
function featureCheck({ name, present, value, neededFor, since, without }: KernelFeature): Check {
  if (name === 'jit harden' && present && value !== '0') {
    return {
      check: name,
      state: 'note',
      found: value,
      advice: 'programs load and run more slowly: set net.core.bpf_jit_harden to 0',
    };
  }
  if (name === 'tcx' && !present) return { check: name, state: 'note', found: 'clsact', advice: without };
  if (present) return { check: name, state: 'ok', found: value || 'there', advice: '' };
  const isVital = vital.includes(name);
  const consequence = isVital ? 'the data plane does not run without it' : without;
  return {
    check: name,
    state: isVital ? 'missing' : 'note',
    found: 'not there',
    advice: `${consequence}; needed for ${neededFor}, in Linux since ${since.replace(/^Linux /, '')}`,
  };
}

function objectCheck({ missingObjects }: HostFacts): Check {
  const isBuilt = missingObjects.length === 0;
  return {
    check: 'programs',
    state: isBuilt ? 'ok' : 'missing',
    found: isBuilt ? 'compiled' : `not compiled: ${missingObjects.join(', ')}`,
    advice: isBuilt ? '' : 'want clang, then: scripts/build-bpf.sh',
  };
}

/** The larger of `all` and the link's own holds: Documentation/networking/ip-sysctl.rst. */
function rpFilterCheck({ rpFilters }: HostFacts): Check {
  const strict = Object.entries(rpFilters).filter(([, value]) => value === '1');
  const isStrict = strict.length > 0;
  return {
    check: 'rp_filter',
    state: isStrict ? 'note' : 'ok',
    found: isStrict ? `strict on ${strict.map(([link]) => link).join(', ')}` : 'not strict',
    advice: isStrict
      ? 'answers that come another way than they went are dropped before the host sees them: want 0 or 2'
      : '',
  };
}

function programCheck({ programs }: HostFacts): Check {
  const isFree = programs.length === 0;
  return {
    check: 'other programs',
    state: isFree ? 'ok' : 'note',
    found: isFree ? 'none at tcx hooks' : programs.join(', '),
    advice: isFree ? '' : 'whose names are not ours may decide before or after us',
  };
}

const known: readonly { readonly name: string; readonly advice: string }[] = [
  {
    name: 'kube-proxy',
    advice: 'kube-proxy balances services here: with ebpf it must not run, and its table is in the way',
  },
  { name: 'calico', advice: "Calico's own agent has rules here: only one of the two should run" },
];

function tableChecks({ tables }: HostFacts): readonly Check[] {
  return known.flatMap(({ name, advice }) => {
    const found = tables.filter((table) => table.endsWith(` ${name}`));
    return found.length === 0
      ? []
      : [{ check: `nftables ${name}`, state: 'note', found: found.join(', '), advice } as const];
  });
}
