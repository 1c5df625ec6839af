// SPDX-License-Identifier: Apache-2.0
/** The map `links`: which endpoint a link is, and which programs its packets meet. */
import type { InspectedLink, Inspection, LinksAnswer } from '../../contract/inspect.ts';
import { endpointNamed, type Inspected } from './inspected.ts';
import { linkAt, linkKinds, linkStages, stagesPerFamily } from './layout.ts';
import { someAddressAt, viewOf } from './row-view.ts';

type Question = Extract<Inspection, { kind: 'links' }>;

export function linksAnswer(of: Inspected, { endpoint }: Question): LinksAnswer {
  const id = endpoint === undefined ? null : endpointNamed(of, endpoint).id;
  const links = [...of.map('links').entries()]
    .map(([key, value]) => linkOf(of, viewOf(key).getUint32(0, true), viewOf(value)))
    .filter((link) => id === null || link.endpoint?.id === id)
    .sort((a, b) => a.index - b.index);
  return { kind: 'links', links };
}

function linkOf(of: Inspected, index: number, view: DataView): InspectedLink {
  const name = of.linkName(index);
  const kind = view.getUint32(linkAt.kind, true) === linkKinds.workload ? 'workload' : 'network';
  return {
    name,
    index,
    kind,
    endpoint: of.names.endpoint(view.getBigUint64(linkAt.endpoint, true)),
    mtu: view.getUint32(linkAt.mtu, true),
    addresses: [0, 16].flatMap((at) => someAddressAt(view, linkAt.own + at) ?? []),
    open: kind === 'network' || (name !== null && of.isOpen(name)),
    programs: [4, 6].flatMap((family) => placesOf(view, family === 6 ? 6 : 4)),
  };
}

/** 0: no say there. */
function placesOf(view: DataView, family: 4 | 6): InspectedLink['programs'] {
  const first = linkAt.policy + (family === 4 ? 0 : 4 * stagesPerFamily);
  return Object.entries(linkStages)
    .map(([stage, at]) => ({ family, stage, place: view.getUint32(first + 4 * at, true) }))
    .filter(({ place }) => place !== 0);
}
