// SPDX-License-Identifier: Apache-2.0
/** The shapes of Calico's kinds (projectcalico.org/v3). */
import { familyOf } from '../../lib/address.ts';
import type { Cidr } from '../../lib/brand.ts';
import { cidrContains, isStrictCidr, prefixLength, tryParseCidr } from '../../lib/cidr.ts';
import { builtinTiers, defaultAllowProfile } from '../builtin.ts';
import { listAt, member, memberAt, textAt, textMapAt } from '../json.ts';
import { namespaceLabel } from '../selector/rewrite.ts';
import type { CalicoKind } from '../types.ts';
import { dnsLabelText, dnsNameText, labels, metadata } from './names.ts';
import { rules, selectorText } from './rule.ts';
import {
  anything,
  type Check,
  every,
  finite,
  flag,
  integer,
  judged,
  list,
  map,
  object,
  oneOf,
  type Report,
  shown,
  text,
} from './schema.ts';

function resource(
  name: Check,
  namespaced: boolean,
  spec: Check,
  extra: { labels?: Check; required?: string[] } = {},
): Check {
  return object(
    {
      apiVersion: text(),
      kind: text(),
      metadata: metadata(name, { namespaced, open: false, labels: extra.labels ?? labels }),
      spec,
      status: anything,
    },
    { required: ['apiVersion', 'kind', 'metadata', ...(extra.required ?? [])] },
  );
}

const types: Check = list(oneOf('Ingress', 'Egress'), { unique: true });

function policySpec(global: boolean): Check {
  return object({
    tier: dnsLabelText,
    order: finite,
    selector: selectorText(),
    serviceAccountSelector: selectorText(),
    types,
    ingress: rules({ direction: 'ingress', global }),
    egress: rules({ direction: 'egress', global }),
    performanceHints: list(oneOf('AssumeNeededOnEveryNode'), { unique: true }),
    ...(global
      ? { namespaceSelector: selectorText(), doNotTrack: flag, preDNAT: flag, applyOnForward: flag }
      : {}),
  });
}

const networkPolicy = resource(dnsNameText, true, policySpec(false));

const globalNetworkPolicy = every(resource(dnsNameText, false, policySpec(true)), (value, _, report) => {
  const spec = member(value, 'spec');
  const set = (field: string) => member(spec, field) === true;
  if (set('doNotTrack') && set('preDNAT'))
    report('spec.preDNAT', 'got true together with doNotTrack, want one of them');
  if ((set('doNotTrack') || set('preDNAT')) && !set('applyOnForward')) {
    report(
      'spec.applyOnForward',
      `got ${shown(member(spec, 'applyOnForward'))}, want true with doNotTrack or preDNAT`,
    );
  }
  if (!set('preDNAT')) return;
  if (listAt(spec, 'egress').length > 0)
    report('spec.egress', 'got rules, want none: preDNAT is for ingress only');
  if (listAt(spec, 'types').includes('Egress'))
    report('spec.types', 'got Egress, want Ingress alone with preDNAT');
});

const tierShape = resource(
  dnsLabelText,
  false,
  object({ order: finite, defaultAction: oneOf('Deny', 'Pass') }),
);

const tier = every(tierShape, (value, _, report) => {
  const fixed = builtinTiers.get(textAt(value, 'metadata', 'name'));
  if (!fixed) return;
  const { order, defaultAction } = fixed;
  const written = memberAt(value, 'spec', 'order');
  if (written !== undefined && written !== order)
    report('spec.order', `got ${shown(written)}, want ${order}: the tier is built in`);
  const action = memberAt(value, 'spec', 'defaultAction');
  if (action !== undefined && action !== defaultAction) {
    report('spec.defaultAction', `got ${shown(action)}, want ${defaultAction}: the tier is built in`);
  }
});

const anyNet: Check = judged((value) =>
  typeof value === 'string' && tryParseCidr(value) ? null : `got ${shown(value)}, want an address or a CIDR`,
);

const setLabels: Check = every(labels, (value, path, report) => {
  if (member(value, namespaceLabel) !== undefined) {
    report(`${path}.${namespaceLabel}`, 'got a reserved label, want none: it follows from the namespace');
  }
});

function networkSet(namespaced: boolean): Check {
  return resource(dnsNameText, namespaced, object({ nets: list(anyNet) }), { labels: setLabels });
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

/** Labels that pods inherit may carry prefixes such as `pcns.`, so their keys are checked as selectors read them. */
const labelsToApply: Check = map(
  (key) =>
    /^[a-zA-Z0-9_./-]{1,512}$/.test(key)
      ? null
      : "want at most 512 of letters, digits, '_', '.', '/' and '-'",
  text(),
);

const profile = resource(
  profileName,
  false,
  object({
    ingress: rules({ direction: 'ingress', global: true }),
    egress: rules({ direction: 'egress', global: true }),
    labelsToApply,
  }),
);

const encapsulation = oneOf('Never', 'Always', 'CrossSubnet');

const poolCidr: Check = judged((value) => {
  const cidr = typeof value === 'string' ? tryParseCidr(value) : null;
  if (!cidr) return `got ${shown(value)}, want a CIDR like 192.168.0.0/16`;
  if (!isStrictCidr(String(value)))
    return `got ${shown(value)}, want ${cidr}: bits after the prefix must be zero`;
  const linkLocal = linkLocalRanges.find((range) => cidrContains(range, cidr) || cidrContains(cidr, range));
  return linkLocal ? `got ${shown(value)}, want a CIDR apart from link-local ${linkLocal}` : null;
});

/** RFC 3927, RFC 4291 section 2.5.6. */
const linkLocalRanges = ['169.254.0.0/16' as Cidr, 'fe80::/10' as Cidr];

const poolShape = resource(
  dnsNameText,
  false,
  object(
    {
      cidr: poolCidr,
      ipipMode: encapsulation,
      vxlanMode: encapsulation,
      natOutgoing: flag,
      disabled: flag,
      disableBGPExport: flag,
      blockSize: integer(20, 128),
      nodeSelector: selectorText(),
      namespaceSelector: selectorText(),
      allowedUses: list(oneOf('Workload', 'Tunnel', 'LoadBalancer'), { unique: true }),
      assignmentMode: oneOf('Automatic', 'Manual'),
    },
    { required: ['cidr'] },
  ),
  { required: ['spec'] },
);

const ipPool = every(poolShape, (value, _, report) => {
  const spec = member(value, 'spec');
  const cidr = tryParseCidr(textAt(spec, 'cidr'));
  if (cidr) checkBlocks(spec, cidr, report);
  const encapsulated = ['ipipMode', 'vxlanMode'].filter((field) =>
    /^(Always|CrossSubnet)$/.test(textAt(spec, field)),
  );
  if (encapsulated.length > 1) report('spec.vxlanMode', 'got VXLAN and IPIP, want at most one encapsulation');
  if (cidr && familyOf(cidr) === 6 && encapsulated.includes('ipipMode')) {
    report('spec.ipipMode', `got ${textAt(spec, 'ipipMode')}, want Never: IPIP carries IPv4 only`);
  }
  checkUses(spec, encapsulated, report);
});

function checkBlocks(spec: unknown, cidr: Cidr, report: Report): void {
  const [min, max, usual] = familyOf(cidr) === 4 ? [20, 32, 26] : [116, 128, 122];
  const size = member(spec, 'blockSize') ?? usual;
  if (typeof size !== 'number') return;
  if (size < min || size > max) {
    report('spec.blockSize', `got ${shown(size)}, want an integer from ${min} to ${max}`);
  } else if (prefixLength(cidr) > size && member(spec, 'disabled') !== true) {
    report(
      'spec.cidr',
      `got ${shown(cidr)}, want a prefix of at most /${size}: the pool is smaller than one block`,
    );
  }
}

function checkUses(spec: unknown, encapsulated: readonly string[], report: Report): void {
  const uses = listAt(spec, 'allowedUses');
  if (uses.includes('Tunnel') && textAt(spec, 'namespaceSelector') !== '') {
    report('spec.namespaceSelector', 'got a selector, want none: tunnels belong to no namespace');
  }
  if (!uses.includes('LoadBalancer')) return;
  if (uses.length > 1) report('spec.allowedUses', 'got other uses beside LoadBalancer, want it alone');
  for (const field of encapsulated)
    report(`spec.${field}`, `got ${textAt(spec, field)}, want Never with LoadBalancer`);
  if (member(spec, 'disableBGPExport') === true)
    report('spec.disableBGPExport', 'got true, want false with LoadBalancer');
  const nodes = member(spec, 'nodeSelector') ?? 'all()';
  if (nodes !== 'all()') report('spec.nodeSelector', `got ${shown(nodes)}, want "all()" with LoadBalancer`);
}

/** Label of policies that repeats their tier, for selection by label. */
export const tierLabel = 'projectcalico.org/tier';

/** The label that repeats the tier may be left out, but not contradict it. */
function tierLabelAgrees(value: unknown, _: string, report: Report): void {
  const label = textMapAt(value, 'metadata', 'labels').get(tierLabel);
  const tier = textAt(value, 'spec', 'tier') || 'default';
  if (label !== undefined && label !== tier) {
    report(
      `metadata.labels.${tierLabel}`,
      `got ${shown(label)}, want ${shown(tier)}, the tier of the spec, or nothing`,
    );
  }
}

/** Until its schema is written. */
const anyCalico: Check = object({}, { open: true });

export const calicoShapes: { readonly [K in CalicoKind]: Check } = {
  NetworkPolicy: every(networkPolicy, tierLabelAgrees),
  GlobalNetworkPolicy: every(globalNetworkPolicy, tierLabelAgrees),
  Tier: tier,
  NetworkSet: networkSet(true),
  GlobalNetworkSet: networkSet(false),
  IPPool: ipPool,
  Profile: profile,
  StagedNetworkPolicy: anyCalico,
  StagedGlobalNetworkPolicy: anyCalico,
  StagedKubernetesNetworkPolicy: anyCalico,
  HostEndpoint: anyCalico,
  FelixConfiguration: anyCalico,
  IPReservation: anyCalico,
  IPAMConfiguration: anyCalico,
  IPAMBlock: anyCalico,
  IPAMHandle: anyCalico,
  BlockAffinity: anyCalico,
  BGPConfiguration: anyCalico,
  BGPPeer: anyCalico,
  BGPFilter: anyCalico,
  CalicoNodeStatus: anyCalico,
  ClusterInformation: anyCalico,
  KubeControllersConfiguration: anyCalico,
  CalicoWorkloadEndpoint: anyCalico,
  CalicoNode: anyCalico,
  LiveMigration: anyCalico,
};
