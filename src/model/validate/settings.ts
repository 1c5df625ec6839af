// SPDX-License-Identifier: Apache-2.0
/**
 * What must hold between the fields of pools, endpoints and settings: the checks that Calico has only in Go
 * (libcalico-go/lib/validator/v3, lib/clientv3).
 */
import { familyOf, tryParseAddress } from '../../lib/address.ts';
import { cidrContains, hostCidr, isHost, tryParseCidr } from '../../lib/cidr.ts';
import { listAt, member, memberAt, textAt } from '../json.ts';
import { namespaceLabel } from '../selector/rewrite.ts';
import { type Check, shown } from './check.ts';
import { isCommunity } from './formats.ts';

/** A namespaced set gets it from its namespace, a global one never has it. */
export const noNamespaceLabel: Check = (value, _, report) => {
  if (memberAt(value, 'metadata', 'labels', namespaceLabel) === undefined) return;
  report(
    `metadata.labels.${namespaceLabel}`,
    'got a reserved label, want none: it follows from the namespace',
  );
};

export const communitiesKnown: Check = (value, _, report) => {
  const names = new Set(listAt(value, 'spec', 'communities').map((item) => textAt(item, 'name')));
  for (const [i, advertisement] of listAt(value, 'spec', 'prefixAdvertisements').entries()) {
    for (const [j, item] of listAt(advertisement, 'communities').entries()) {
      if (typeof item !== 'string' || names.has(item) || isCommunity(item)) continue;
      report(
        `spec.prefixAdvertisements[${i}].communities[${j}]`,
        `got ${shown(item)}, want a name from spec.communities or a BGP community like 65000:100`,
      );
    }
  }
};

export const reachableByOfPeersFamily: Check = (value, _, report) => {
  const gateway = tryParseAddress(textAt(value, 'spec', 'reachableBy'));
  const written = textAt(value, 'spec', 'peerIP');
  const peer = tryParseAddress(written) ?? tryParseAddress(written.replace(/^\[?(.*?)\]?:\d+$/, '$1'));
  if (!gateway || !peer || familyOf(gateway) === familyOf(peer)) return;
  report('spec.reachableBy', `got ${shown(gateway)}, want an IPv${familyOf(peer)} address like peerIP`);
};

/** Each table is flushed and listed: Calico's own limit. */
const maxRouteTables = 65_535;

export const routeTablesLimited: Check = (value, _, report) => {
  let tables = 0;
  for (const range of listAt(value, 'spec', 'routeTableRanges')) {
    const [min, max] = [member(range, 'min'), member(range, 'max')];
    if (typeof min === 'number' && typeof max === 'number' && max <= 0xffffffff)
      tables += Math.max(0, max - min + 1);
  }
  if (tables > maxRouteTables)
    report('spec.routeTableRanges', `got ${tables} tables, want at most ${maxRouteTables} in all`);
};

/** `kube-ipvs0,/^veth/`: names, and expressions between slashes. */
export const interfaceExpressionsCompile: Check = (value, _, report) => {
  for (const part of textAt(value, 'spec', 'interfaceExclude').split(',')) {
    const expression = /^\/(.*)\/$/.exec(part)?.[1];
    if (expression === undefined) continue;
    try {
      new RegExp(expression);
    } catch {
      report('spec.interfaceExclude', `got ${shown(part)}, want a regular expression between slashes`);
    }
  }
};

export const strictWithMaxBlocks: Check = (value, _, report) => {
  const most = memberAt(value, 'spec', 'maxBlocksPerHost');
  if (typeof most !== 'number' || most === 0 || memberAt(value, 'spec', 'strictAffinity') === true) return;
  report(
    'spec.maxBlocksPerHost',
    `got ${most}, want 0 without strictAffinity: a full node would borrow from others`,
  );
};

/** The name goes into that of the endpoint: two templates would fight for it. */
export const templatesApart: Check = (value, _, report) => {
  const path = ['spec', 'controllers', 'node', 'hostEndpoint', 'templates'];
  const seen = new Set<string>();
  for (const [i, template] of listAt(value, ...path).entries()) {
    const name = textAt(template, 'generateName');
    if (seen.has(name))
      report(`${path.join('.')}[${i}].generateName`, `got ${shown(name)} twice, want it once`);
    seen.add(name);
  }
};

export const endpointNetworks: Check = (value, _, report) => {
  const nets = listAt(value, 'spec', 'ipNetworks').map((item) =>
    typeof item === 'string' ? tryParseCidr(item) : null,
  );
  for (const [i, net] of nets.entries()) {
    if (net && !isHost(net)) report(`spec.ipNetworks[${i}]`, `got ${net}, want a single address`);
  }
  for (const [i, nat] of listAt(value, 'spec', 'ipNATs').entries()) {
    const inner = tryParseAddress(textAt(nat, 'internalIP'));
    if (inner && !nets.some((net) => net && cidrContains(net, hostCidr(inner))))
      report(`spec.ipNATs[${i}].internalIP`, `got ${inner}, want an address of spec.ipNetworks`);
  }
};
