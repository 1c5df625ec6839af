// SPDX-License-Identifier: Apache-2.0
/** Beside the schema of each kind: the form of its name, and what Calico checks only in Go. */
import { defaultAllowProfile } from '../builtin.ts';
import type { SchemaKind } from '../schema/catalogue.ts';
import { type Check, every, shown } from './check.ts';
import { dnsLabelText, dnsNameText } from './names.ts';
import { deleteIsEmpty, exceptWithinBlock, tierLabelAgrees } from './policy.ts';
import { rulesOf } from './rule.ts';
import {
  communitiesKnown,
  endpointNetworks,
  interfaceExpressionsCompile,
  noNamespaceLabel,
  reachableByOfPeersFamily,
  routeTablesLimited,
  strictWithMaxBlocks,
  templatesApart,
} from './settings.ts';

export interface Beside {
  /** @defaultValue a DNS name */
  readonly name?: Check;
  /** Of the whole resource; run after the schema, on values that it may have refused. */
  readonly checks?: readonly Check[];
}

const profileName: Check = every(dnsNameText, (value, path, report) => {
  if (value === defaultAllowProfile)
    report(path, `got ${shown(value)}, want another name: the profile is built in`);
  if (typeof value === 'string' && /^k(ns|sa)\./.test(value)) {
    report(
      path,
      `got ${shown(value)}, want another name: kns.* and ksa.* follow from namespaces and service accounts`,
    );
  }
});

/** Of kinds that a cluster has one of. */
const onlyName: Check = (value, path, report) => {
  if (value !== 'default') report(path, `got ${shown(value)}, want "default": a cluster has one`);
};

export const beside: { readonly [K in SchemaKind]: Beside } = {
  NetworkPolicy: { checks: [rulesOf(false), tierLabelAgrees] },
  GlobalNetworkPolicy: { checks: [rulesOf(true), tierLabelAgrees] },
  StagedNetworkPolicy: { checks: [rulesOf(false), tierLabelAgrees, deleteIsEmpty] },
  StagedGlobalNetworkPolicy: { checks: [rulesOf(true), tierLabelAgrees, deleteIsEmpty] },
  StagedKubernetesNetworkPolicy: { checks: [exceptWithinBlock, deleteIsEmpty] },
  KubernetesNetworkPolicy: { checks: [exceptWithinBlock] },
  ClusterNetworkPolicy: {},
  Tier: { name: dnsLabelText },
  NetworkSet: { checks: [noNamespaceLabel] },
  GlobalNetworkSet: { checks: [noNamespaceLabel] },
  HostEndpoint: {},
  Profile: { name: profileName, checks: [rulesOf(true)] },
  FelixConfiguration: { checks: [routeTablesLimited, interfaceExpressionsCompile] },
  IPPool: {},
  IPReservation: {},
  IPAMConfiguration: { name: onlyName, checks: [strictWithMaxBlocks] },
  IPAMBlock: {},
  IPAMHandle: {},
  BlockAffinity: {},
  BGPConfiguration: { checks: [communitiesKnown] },
  BGPPeer: { checks: [reachableByOfPeersFamily] },
  BGPFilter: {},
  CalicoNodeStatus: {},
  ClusterInformation: { name: onlyName },
  KubeControllersConfiguration: { name: onlyName, checks: [templatesApart] },
  CalicoWorkloadEndpoint: { checks: [endpointNetworks] },
  CalicoNode: {},
  LiveMigration: {},
};
