// SPDX-License-Identifier: Apache-2.0
/** FelixConfiguration: every parameter of the node agent that a resource may set. */
import { bpfParameters } from './felix-bpf.ts';
import {
  anyCaseOf,
  anyText,
  duration,
  enabled,
  flag,
  goDuration,
  listOf,
  object,
  oneOf,
  port,
  resource,
  routePriority,
  selector,
  whole,
} from './fragments.ts';
import { patterns } from './patterns.ts';
import type { Rule, Schema } from './schema.ts';

type Parameters = { readonly [name: string]: Schema };

const severity = anyCaseOf('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal');
const acceptOrReturn = anyCaseOf('Accept', 'Return');
const dropOrReject = anyCaseOf('Drop', 'Reject');
const markMask: Schema = { type: 'integer', format: 'int64', minimum: 0, maximum: 4294967295 };
const interfaceName: Schema = { type: 'string', format: 'interface' };
const mtu: Schema = { type: 'integer', minimum: 0 };
const portRange: Schema = { 'x-kubernetes-int-or-string': true, format: 'port-range' };

const failsafe: Schema = object(
  {
    protocol: anyCaseOf('TCP', 'UDP', 'SCTP'),
    port,
    net: { type: 'string', format: 'any-net' },
  },
  { required: ['port'] },
);

const tableRange: Schema = object(
  { min: whole, max: whole },
  {
    required: ['min', 'max'],
    'x-kubernetes-validations': [
      {
        rule: 'self.min >= 1 && self.min <= self.max && self.max <= 250',
        message: 'want min and max from 1 to 250, min not above max',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

const tableIdRange: Schema = object(
  {
    min: { type: 'integer', minimum: 1 },
    max: { type: 'integer', maximum: 4294967295 },
  },
  {
    required: ['min', 'max'],
    'x-kubernetes-validations': [
      {
        rule: 'self.min <= self.max',
        message: 'want at least min',
        fieldPath: '.max',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

const processParameters: Parameters = {
  nodeSelector: selector,
  featureDetectOverride: { type: 'string', pattern: patterns.featureOverrides },
  featureGates: { type: 'string', pattern: patterns.featureGates },
  goGCThreshold: whole,
  goMaxProcs: whole,
  goMemoryLimitMB: whole,
  healthEnabled: flag,
  healthHost: { type: 'string', format: 'host' },
  healthPort: port,
  healthTimeoutOverrides: listOf(
    object({ name: anyText, timeout: goDuration }, { required: ['name', 'timeout'] }),
    { 'x-kubernetes-list-type': 'atomic' },
  ),
  usageReportingEnabled: flag,
  usageReportingInitialDelay: duration,
  usageReportingInterval: duration,
  debugDisableLogDropping: flag,
  debugHost: { type: 'string', format: 'host' },
  debugPort: port,
  debugMemoryProfilePath: anyText,
  debugSimulateCalcGraphHangAfter: duration,
  debugSimulateDataplaneHangAfter: duration,
  debugSimulateDataplaneApplyDelay: duration,
  logSeverityFile: severity,
  logSeverityScreen: severity,
  logSeveritySys: severity,
  logFilePath: anyText,
  logDebugFilenameRegex: { type: 'string', format: 'regex' },
  logPrefix: { type: 'string', pattern: patterns.logPrefix },
  logActionRateLimit: { type: 'string', pattern: patterns.rateLimit },
  logActionRateLimitBurst: { type: 'integer', minimum: 0, maximum: 9999 },
  prometheusMetricsEnabled: flag,
  prometheusMetricsHost: { type: 'string', format: 'host' },
  prometheusMetricsPort: port,
  prometheusMetricsCAFile: anyText,
  prometheusMetricsCertFile: anyText,
  prometheusMetricsKeyFile: anyText,
  prometheusMetricsClientAuth: oneOf(
    'NoClientCert',
    'RequestClientCert',
    'RequireAnyClientCert',
    'VerifyClientCertIfGiven',
    'RequireAndVerifyClientCert',
  ),
  prometheusGoMetricsEnabled: flag,
  prometheusProcessMetricsEnabled: flag,
  prometheusWireGuardMetricsEnabled: flag,
};

const commonParameters: Parameters = {
  interfacePrefix: anyText,
  interfaceExclude: anyText,
  interfaceRefreshInterval: duration,
  ipv6Support: flag,
  defaultEndpointToHostAction: anyCaseOf('Drop', 'Accept', 'Return'),
  chainInsertMode: anyCaseOf('Insert', 'Append'),
  failsafeInboundHostPorts: listOf(failsafe),
  failsafeOutboundHostPorts: listOf(failsafe),
  dataplaneDriver: anyText,
  useInternalDataplaneDriver: flag,
  dataplaneWatchdogTimeout: goDuration,
  deviceRouteProtocol: { type: 'integer', minimum: 0, maximum: 255 },
  deviceRouteSourceAddress: { type: 'string', maxLength: 45 },
  deviceRouteSourceAddressIPv6: { type: 'string', maxLength: 45 },
  removeExternalRoutes: flag,
  routeRefreshInterval: duration,
  routeSource: anyCaseOf('WorkloadIPs', 'CalicoIPAM'),
  routeSyncDisabled: flag,
  routeTableRange: tableRange,
  routeTableRanges: listOf(tableIdRange),
  programClusterRoutes: oneOf('Enabled', 'Disabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly'),
  ipv4NormalRoutePriority: routePriority,
  ipv4ElevatedRoutePriority: routePriority,
  ipv6NormalRoutePriority: routePriority,
  ipv6ElevatedRoutePriority: routePriority,
  liveMigrationRouteConvergenceTime: duration,
  netlinkTimeout: duration,
  disableConntrackInvalidCheck: flag,
  allowIPIPPacketsFromWorkloads: flag,
  allowVXLANPacketsFromWorkloads: flag,
  ipForwarding: enabled,
  floatingIPs: enabled,
  natOutgoingAddress: { type: 'string', maxLength: 45 },
  natOutgoingExclusions: oneOf('IPPoolsOnly', 'IPPoolsAndHostIPs'),
  natPortRange: portRange,
  mtuIfacePattern: { type: 'string', format: 'regex' },
  requireMTUFile: flag,
  serviceLoopPrevention: anyCaseOf('Drop', 'Reject', 'Disabled'),
  workloadSourceSpoofing: anyCaseOf('Disabled', 'Any'),
  endpointStatusPathPrefix: anyText,
  policySyncPathPrefix: anyText,
  externalNodesList: listOf({ type: 'string', format: 'ipv4-net' }),
  sidecarAccelerationEnabled: flag,
  cgroupV2Path: anyText,
  localSubnetL2Reachability: oneOf('Disabled', 'PodsAndLoadBalancers'),
  localSubnetL2ReachabilityRefreshInterval: goDuration,
  istioAmbientMode: enabled,
  istioDSCPMark: { 'x-kubernetes-int-or-string': true, format: 'dscp' },
  awsSrcDstCheck: oneOf('DoNothing', 'Enable', 'Disable'),
  windowsManageFirewallRules: enabled,
  xdpEnabled: flag,
  genericXDPEnabled: flag,
  xdpRefreshInterval: duration,
};

/** nftablesMode has no default here, though Calico's schema gives it one: it would hide the setting of a wider layer. */
const filterParameters: Parameters = {
  iptablesBackend: anyCaseOf('Auto', 'Legacy', 'NFT'),
  iptablesFilterAllowAction: acceptOrReturn,
  iptablesFilterDenyAction: dropOrReject,
  iptablesMangleAllowAction: acceptOrReturn,
  iptablesLockProbeInterval: duration,
  iptablesPostWriteCheckInterval: duration,
  iptablesRefreshInterval: duration,
  iptablesMarkMask: markMask,
  iptablesNATOutgoingInterfaceFilter: { type: 'string', format: 'interface-filter' },
  ipsetsRefreshInterval: duration,
  maxIpsetSize: { type: 'integer', minimum: 1 },
  kubeNodePortRanges: listOf(portRange, { maxItems: 7 }),
  nftablesMode: oneOf('Disabled', 'Enabled', 'Auto'),
  nftablesFilterAllowAction: acceptOrReturn,
  nftablesFilterDenyAction: dropOrReject,
  nftablesMangleAllowAction: acceptOrReturn,
  nftablesMarkMask: markMask,
  nftablesRefreshInterval: goDuration,
  nftablesFlowTableOffload: oneOf('Disabled', 'Enabled', 'All'),
  nftablesFlowTableDataIfacePattern: { type: 'string', format: 'regex' },
};

const overlayParameters: Parameters = {
  ipipEnabled: flag,
  ipipMTU: mtu,
  vxlanEnabled: flag,
  vxlanMTU: mtu,
  vxlanMTUV6: mtu,
  vxlanPort: port,
  vxlanVNI: { type: 'integer', minimum: 0, maximum: 16777215 },
  wireguardEnabled: flag,
  wireguardEnabledV6: flag,
  wireguardHostEncryptionEnabled: flag,
  wireguardInterfaceName: interfaceName,
  wireguardInterfaceNameV6: interfaceName,
  wireguardListeningPort: port,
  wireguardListeningPortV6: port,
  wireguardMTU: mtu,
  wireguardMTUV6: mtu,
  wireguardKeepAlive: duration,
  wireguardRoutingRulePriority: whole,
  wireguardThreadingEnabled: flag,
};

const reportParameters: Parameters = {
  flowLogsFlushInterval: duration,
  flowLogsGoldmaneServer: anyText,
  flowLogsLocalReporter: enabled,
  flowLogsPolicyEvaluationMode: oneOf('None', 'Continuous'),
  flowLogsCollectorDebugTrace: flag,
  endpointReportingEnabled: flag,
  endpointReportingDelay: duration,
  reportingInterval: duration,
  reportingTTL: duration,
  metadataAddr: anyText,
  metadataPort: port,
  /** With its prefix of 16 it must fit a label. */
  openstackRegion: { type: 'string', maxLength: 47, format: 'dns-label' },
};

function addressOf(field: string, family: 4 | 6): Rule {
  return {
    rule: `!has(self.${field}) || size(self.${field}) == 0 || (isIP(self.${field}) && ip(self.${field}).family() == ${family})`,
    message: `want an IPv${family} address`,
    fieldPath: `.${field}`,
    reason: 'FieldValueInvalid',
  };
}

export const felixConfiguration: Schema = resource(
  object(
    {
      ...processParameters,
      ...commonParameters,
      ...filterParameters,
      ...bpfParameters,
      ...overlayParameters,
      ...reportParameters,
    },
    {
      'x-kubernetes-validations': [
        {
          rule: '!has(self.routeTableRange) || !has(self.routeTableRanges)',
          message: 'got routeTableRange and routeTableRanges, want one of them',
          fieldPath: '.routeTableRange',
          reason: 'FieldValueForbidden',
        },
        addressOf('natOutgoingAddress', 4),
        addressOf('deviceRouteSourceAddress', 4),
        addressOf('deviceRouteSourceAddressIPv6', 6),
      ],
    },
  ),
  {
    'x-kubernetes-validations': [
      {
        rule: "(self.metadata.name != 'default' && !self.metadata.name.startsWith('node.')) || !has(self.spec) || !has(self.spec.nodeSelector)",
        message: 'want nothing: the name says which nodes it is for',
        fieldPath: '.spec.nodeSelector',
        reason: 'FieldValueForbidden',
      },
    ],
  },
);
