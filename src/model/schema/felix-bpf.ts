// SPDX-License-Identifier: Apache-2.0
/** The parameters of FelixConfiguration that the eBPF data plane reads. */
import {
  anyCaseOf,
  anyText,
  duration,
  enabled,
  flag,
  listOf,
  object,
  oneOf,
  port,
  whole,
} from './fragments.ts';
import { patterns } from './patterns.ts';
import type { Schema } from './schema.ts';

const regex: Schema = { type: 'string', format: 'regex' };
const nets: Schema = listOf({ type: 'string', format: 'any-net' });
const size: Schema = { type: 'integer', minimum: 1 };
const timeout: Schema = { type: 'string', pattern: patterns.conntrackTimeout };

const conntrackTimeouts: Schema = object({
  creationGracePeriod: timeout,
  tcpSynSent: timeout,
  tcpEstablished: timeout,
  tcpFinsSeen: timeout,
  tcpResetSeen: timeout,
  udpTimeout: timeout,
  genericTimeout: timeout,
  icmpTimeout: timeout,
});

export const bpfParameters: { readonly [name: string]: Schema } = {
  bpfEnabled: flag,
  bpfAttachType: oneOf('TC', 'TCX', 'Netkit'),
  bpfDataIfacePattern: regex,
  bpfL3IfacePattern: regex,
  bpfConnectTimeLoadBalancing: oneOf('TCP', 'Enabled', 'Disabled'),
  bpfConnectTimeLoadBalancingEnabled: flag,
  bpfHostNetworkedNATWithoutCTLB: enabled,
  bpfExternalServiceMode: anyCaseOf('Tunnel', 'DSR'),
  bpfDSROptoutCIDRs: nets,
  bpfExtToServiceConnmark: { type: 'integer', minimum: 0, maximum: 4294967295 },
  bpfEnforceRPF: anyCaseOf('Disabled', 'Strict', 'Loose'),
  bpfLogLevel: anyCaseOf('Off', 'Info', 'Debug'),
  bpfLogFilters: { type: 'object', additionalProperties: anyText },
  bpfCTLBLogFilter: anyText,
  bpfConntrackLogLevel: oneOf('Off', 'Debug'),
  bpfConntrackMode: oneOf('Auto', 'Userspace', 'BPFProgram'),
  bpfConntrackTimeouts: conntrackTimeouts,
  bpfKubeProxyIptablesCleanupEnabled: flag,
  bpfKubeProxyMinSyncPeriod: duration,
  bpfKubeProxyHealthzPort: port,
  bpfPSNATPorts: { 'x-kubernetes-int-or-string': true, format: 'port-range' },
  bpfDisableUnprivileged: flag,
  bpfJITHardening: oneOf('Auto', 'Strict'),
  bpfDisableGROForIfaces: regex,
  bpfExcludeCIDRsFromNAT: nets,
  bpfForceTrackPacketsFromIfaces: listOf({ type: 'string', format: 'interface-filter' }),
  bpfHostConntrackBypass: flag,
  bpfIPFragmentReassemblyEnabled: flag,
  bpfIPFragTimeout: duration,
  bpfMaglevMaxServices: size,
  bpfMaglevMaxEndpointsPerService: size,
  bpfMapSizeConntrack: size,
  bpfMapSizeConntrackCleanupQueue: size,
  bpfMapSizeConntrackScaling: anyCaseOf('Disabled', 'DoubleIfFull'),
  bpfMapSizePerCpuConntrack: { type: 'integer', minimum: 0 },
  bpfMapSizeIPSets: size,
  bpfMapSizeIfState: size,
  bpfMapSizeNATAffinity: size,
  bpfMapSizeNATBackend: size,
  bpfMapSizeNATFrontend: size,
  bpfMapSizeRoute: size,
  bpfOverlayHostSourceIP: oneOf('TunnelAddress', 'HostAddress'),
  bpfPolicyDebugEnabled: flag,
  bpfProfiling: enabled,
  bpfRedirectToPeer: oneOf('Enabled', 'Disabled', 'L2Only'),
  bpfExportBufferSizeMB: whole,
};
