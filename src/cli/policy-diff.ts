// SPDX-License-Identifier: Apache-2.0
/** `muslin diff`: two states compiled, all pairs of ends compared. */
import type { Stored } from '../contract/datastore.ts';
import { parseIfName } from '../lib/if-name.ts';
import type { Resource } from '../model/types.ts';
import { asEnforced, withStaged } from '../observe/tier-view.ts';
import { imaginedNetworks } from './addressed-pods.ts';
import type { DiffReport } from './diff-report.ts';
import { type DiffStates, diffStates, storedManifests } from './diff-state.ts';
import { type Cluster, clusterOf } from './evaluators/cluster.ts';
import type { NodeKnowledge } from './evaluators/cluster-nodes.ts';
import { packetsThatMatter } from './evaluators/packets-that-matter.ts';
import { reachDiff } from './evaluators/reach-diff.ts';
import { Reachability } from './evaluators/reachability.ts';
import { faultText } from './exit.ts';
import type { Io } from './io.ts';
import { labKnowledge, storedResources } from './lab-view.ts';
import { type ManifestOptions, readManifests } from './manifests.ts';
import { findPlace, type PlaceOptions } from './place.ts';

export interface DiffOptions extends ManifestOptions, PlaceOptions {
  readonly against?: readonly string[];
  readonly delete?: boolean;
  readonly staged?: boolean;
  readonly uplink?: string;
}

/** @throws as `apply` or `delete` of the same would. */
export async function diffPolicies(options: DiffOptions, io: Io): Promise<DiffReport> {
  const { stored, knowledge } = await baseOf(options, io);
  const manifests = options.file ? await readManifests(options, io) : [];
  const states = diffStates(stored, manifests, options.delete ?? false);
  tellNotices(states, manifests, options, io);
  const before = clusterOf(states.before, knowledge);
  const after = clusterOf(states.after, knowledge);
  for (const fault of after.faults) io.note(faultText(fault).replace('error:', 'warning:'));
  before.nodes.learnAddresses(after.nodes);
  after.nodes.learnAddresses(before.nodes);
  const hosts = [...new Set([...before.nodes.withEndpoints, ...after.nodes.withEndpoints])].sort();
  const [was, is] = [endsOf(before, hosts), endsOf(after, hosts)];
  const names = was.filter((name) => is.includes(name));
  const packets = packetsThatMatter([before, after], [...states.before, ...states.after]);
  const reach = {
    before: new Reachability(before, names, packets, asEnforced),
    after: new Reachability(after, names, packets, options.staged ? withStaged : asEnforced),
  };
  return {
    objects: states.objects,
    added: is.filter((name) => !was.includes(name)),
    removed: was.filter((name) => !is.includes(name)),
    ends: names.length,
    packets: packets.length,
    changes: reachDiff(names, packets, reach.before, reach.after),
  };
}

async function baseOf(
  options: DiffOptions,
  io: Io,
): Promise<{ stored: readonly Stored[]; knowledge: NodeKnowledge }> {
  const uplink = options.uplink === undefined ? {} : { uplink: parseIfName(options.uplink) };
  if (options.against) {
    const { file: _, ...reading } = options;
    const manifests = await readManifests({ ...reading, file: options.against }, io);
    return { stored: storedManifests(manifests), knowledge: uplink };
  }
  const place = await findPlace(options, io);
  const known = place.lab ? labKnowledge(place.lab.spec) : {};
  return { stored: await storedResources(place, io), knowledge: { ...known, ...uplink } };
}

function tellNotices(
  { notices, imagined }: DiffStates,
  manifests: readonly Resource[],
  { staged }: DiffOptions,
  io: Io,
): void {
  for (const notice of notices) io.note(`note: ${notice}`);
  if (imagined > 0)
    io.note(`note: ${imagined} pods have no address (status.podIP): imagined in ${imaginedNetworks[4]}`);
  if (!staged && manifests.some(({ kind }) => kind.startsWith('Staged')))
    io.note(
      'note: staged policies change nothing until they are in force; --staged shows what they would do',
    );
}

/** Pods, and nodes that have endpoints of their own before or after. */
function endsOf({ state, nodes }: Cluster, hosts: readonly string[]): readonly string[] {
  const pods = [...state.endpoints.values()].map(({ name }) => name).sort();
  const reachable = hosts.filter(
    (name) => nodes.names.includes(name) && nodes.view(name).addresses.length > 0,
  );
  return [...pods, ...reachable.map((name) => `host/${name}`)];
}
