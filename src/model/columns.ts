// SPDX-License-Identifier: Apache-2.0
/** What a list of each kind shows beside names, as calicoctl and kubectl print it. Ages are left out: they need a clock. */
import { listAt, memberAt, textAt, textMapAt } from './json.ts';
import type { Resource, ResourceKind } from './types.ts';

export interface Column {
  readonly title: string;
  readonly cell: (resource: Resource) => string;
  /** Only in wide output. */
  readonly wide?: true;
}

type Cell = (resource: Resource) => string;

function column(title: string, cell: Cell): Column {
  return { title, cell };
}

function wide({ title, cell }: Column): Column {
  return { title, cell, wide: true };
}

/** A field of the spec; `otherwise` where nothing is written. */
function spec(title: string, field: string, otherwise = ''): Column {
  return column(title, (resource) => String(memberAt(resource, 'spec', field) ?? otherwise));
}

function status(title: string, field: string): Column {
  return column(title, (resource) => textAt(resource, 'status', field));
}

/** Lists are cut where a line would be lost on a screen. */
const maxListWidth = 80;

function listed(title: string, ...path: string[]): Column {
  return column(title, (resource) => shortened(listAt(resource, ...path).map(String)));
}

function shortened(items: readonly string[]): string {
  const text = items.join(',');
  return text.length > maxListWidth ? `${text.slice(0, maxListWidth - 3)}...` : text;
}

function counted(title: string, field: string): Column {
  return column(title, (resource) => String(listAt(resource, 'spec', field).length));
}

const labels = wide(
  column('LABELS', (resource) =>
    [...textMapAt(resource, 'metadata', 'labels')].map(([key, value]) => `${key}=${value}`).join(','),
  ),
);

const calicoPolicy: readonly Column[] = [
  spec('TIER', 'tier'),
  spec('ORDER', 'order'),
  wide(spec('SELECTOR', 'selector')),
  wide(listed('TYPES', 'spec', 'types')),
];

const stagedPolicy: readonly Column[] = [...calicoPolicy, wide(spec('ACTION', 'stagedAction'))];

const nets: readonly Column[] = [wide(listed('NETS', 'spec', 'nets'))];

const podSelector = column('POD-SELECTOR', (resource) =>
  podSelectorCell(memberAt(resource, 'spec', 'podSelector')),
);

/** As kubectl prints label selectors: metav1.FormatLabelSelector. */
function podSelectorCell(selector: unknown): string {
  const labels = [...textMapAt(selector, 'matchLabels')].map(([key, value]) => `${key}=${value}`).sort();
  const expressions = listAt(selector, 'matchExpressions').map((each) => {
    const key = textAt(each, 'key');
    const values = `(${listAt(each, 'values').join(',')})`;
    const forms: { readonly [operator: string]: string } = {
      In: `${key} in ${values}`,
      NotIn: `${key} notin ${values}`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    return forms[textAt(each, 'operator')] ?? '?';
  });
  return [...labels, ...expressions].join(',') || '<none>';
}

/** `(global)`: no node is named, all are meant. */
function peerNode(resource: Resource): string {
  return textAt(resource, 'spec', 'node') || textAt(resource, 'spec', 'nodeSelector') || '(global)';
}

/** `80/TCP,30080:443/TCP` */
function servicePorts(resource: Resource): string {
  const ports = listAt(resource, 'spec', 'ports').map((port) => {
    const nodePort = memberAt(port, 'nodePort');
    const shown = `${memberAt(port, 'port')}${nodePort ? `:${nodePort}` : ''}`;
    return `${shown}/${textAt(port, 'protocol') || 'TCP'}`;
  });
  return ports.join(',') || '<none>';
}

function externalAddresses(resource: Resource): string {
  const given = listAt(resource, 'status', 'loadBalancer', 'ingress').map(
    (item) => textAt(item, 'ip') || textAt(item, 'hostname'),
  );
  const asked = listAt(resource, 'spec', 'externalIPs').map(String);
  const none = textAt(resource, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : '<none>';
  return [...given, ...asked].join(',') || none;
}

const service: readonly Column[] = [
  spec('TYPE', 'type', 'ClusterIP'),
  spec('CLUSTER-IP', 'clusterIP', '<none>'),
  column('EXTERNAL-IP', externalAddresses),
  column('PORT(S)', servicePorts),
  wide(
    column(
      'SELECTOR',
      (resource) =>
        [...textMapAt(resource, 'spec', 'selector')].map(([key, value]) => `${key}=${value}`).join(',') ||
        '<none>',
    ),
  ),
];

const endpointSlice: readonly Column[] = [
  column('ADDRESSTYPE', (resource) => textAt(resource, 'addressType')),
  column(
    'PORTS',
    (resource) =>
      listAt(resource, 'ports')
        .map((port) => String(memberAt(port, 'port') ?? '*'))
        .join(',') || '<unset>',
  ),
  column(
    'ENDPOINTS',
    (resource) =>
      shortened(listAt(resource, 'endpoints').flatMap((item) => listAt(item, 'addresses').map(String))) ||
      '<unset>',
  ),
];

const workloadEndpoint: readonly Column[] = [
  column('WORKLOAD', (resource) => textAt(resource, 'spec', 'workload') || textAt(resource, 'spec', 'pod')),
  spec('NODE', 'node'),
  listed('NETWORKS', 'spec', 'ipNetworks'),
  spec('INTERFACE', 'interfaceName'),
  wide(listed('PROFILES', 'spec', 'profiles')),
  wide(
    column('NATS', (resource) =>
      shortened(
        listAt(resource, 'spec', 'ipNATs').map(
          (nat) => `${textAt(nat, 'externalIP')}->${textAt(nat, 'internalIP')}`,
        ),
      ),
    ),
  ),
];

function bgp(title: string, field: string): Column {
  return wide(column(title, (resource) => String(memberAt(resource, 'spec', 'bgp', field) ?? '')));
}

/** After NAMESPACE and NAME, which printing adds. */
export const columns: { readonly [K in ResourceKind]: readonly Column[] } = {
  Namespace: [column('STATUS', (resource) => textAt(resource, 'status', 'phase') || 'Active'), labels],
  ServiceAccount: [labels],
  Pod: [status('STATUS', 'phase'), status('IP', 'podIP'), spec('NODE', 'nodeName'), labels],
  Node: [
    column('ADDRESSES', (resource) =>
      listAt(resource, 'status', 'addresses')
        .map((row) => textAt(row, 'address'))
        .join(','),
    ),
    labels,
  ],
  Service: service,
  EndpointSlice: endpointSlice,
  KubernetesNetworkPolicy: [podSelector, wide(listed('TYPES', 'spec', 'policyTypes'))],
  ClusterNetworkPolicy: [spec('TIER', 'tier'), spec('PRIORITY', 'priority')],
  NetworkPolicy: calicoPolicy,
  GlobalNetworkPolicy: calicoPolicy,
  StagedNetworkPolicy: stagedPolicy,
  StagedGlobalNetworkPolicy: stagedPolicy,
  StagedKubernetesNetworkPolicy: [podSelector, wide(spec('ACTION', 'stagedAction'))],
  Tier: [spec('ORDER', 'order'), spec('DEFAULTACTION', 'defaultAction')],
  NetworkSet: nets,
  GlobalNetworkSet: nets,
  HostEndpoint: [
    spec('NODE', 'node'),
    spec('INTERFACE', 'interfaceName'),
    wide(listed('IPS', 'spec', 'expectedIPs')),
    wide(listed('PROFILES', 'spec', 'profiles')),
  ],
  Profile: [
    wide(
      column('LABELSTOAPPLY', (resource) =>
        [...textMapAt(resource, 'spec', 'labelsToApply').keys()].join(','),
      ),
    ),
  ],
  FelixConfiguration: [wide(spec('SELECTOR', 'nodeSelector'))],
  IPPool: [
    spec('CIDR', 'cidr'),
    wide(spec('NAT', 'natOutgoing', 'false')),
    wide(spec('IPIPMODE', 'ipipMode', 'Never')),
    wide(spec('VXLANMODE', 'vxlanMode', 'Never')),
    wide(spec('DISABLED', 'disabled', 'false')),
    wide(spec('DISABLEBGPEXPORT', 'disableBGPExport', 'false')),
    spec('SELECTOR', 'nodeSelector'),
  ],
  IPReservation: [wide(listed('CIDRS', 'spec', 'reservedCIDRs'))],
  IPAMConfiguration: [
    spec('STRICTAFFINITY', 'strictAffinity'),
    spec('AUTOALLOCATEBLOCKS', 'autoAllocateBlocks'),
    wide(spec('MAXBLOCKSPERHOST', 'maxBlocksPerHost')),
  ],
  IPAMBlock: [spec('CIDR', 'cidr'), spec('AFFINITY', 'affinity')],
  IPAMHandle: [spec('ID', 'handleID')],
  BlockAffinity: [
    spec('CIDR', 'cidr'),
    spec('NODE', 'node'),
    spec('TYPE', 'type'),
    wide(spec('STATE', 'state')),
  ],
  BGPConfiguration: [
    spec('LOGSEVERITY', 'logSeverityScreen'),
    spec('MESHENABLED', 'nodeToNodeMeshEnabled', '-'),
    spec('ASNUMBER', 'asNumber', '-'),
  ],
  BGPPeer: [
    spec('PEERIP', 'peerIP'),
    column('NODE', peerNode),
    spec('ASN', 'asNumber', '0'),
    wide(spec('PEERSELECTOR', 'peerSelector')),
  ],
  BGPFilter: [
    counted('EXPORTV4', 'exportV4'),
    counted('IMPORTV4', 'importV4'),
    counted('EXPORTV6', 'exportV6'),
    counted('IMPORTV6', 'importV6'),
  ],
  CalicoNodeStatus: [spec('NODE', 'node'), wide(listed('CLASSES', 'spec', 'classes'))],
  ClusterInformation: [
    spec('CLUSTERGUID', 'clusterGUID'),
    spec('CLUSTERTYPE', 'clusterType'),
    spec('CALICOVERSION', 'calicoVersion'),
    spec('DATASTOREREADY', 'datastoreReady'),
  ],
  KubeControllersConfiguration: [],
  CalicoWorkloadEndpoint: workloadEndpoint,
  CalicoNode: [bgp('ASN', 'asNumber'), bgp('IPV4', 'ipv4Address'), bgp('IPV6', 'ipv6Address')],
  LiveMigration: [],
};
