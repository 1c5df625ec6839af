// SPDX-License-Identifier: Apache-2.0
/** Which data planes an agent can run, and their settings when nobody sets any: Calico's (felix/docs/config-params.json). */
import { protocolNumbers } from '../lib/protocol.ts';
import type { DataplaneConfig, FailsafePort } from './dataplane.ts';

const { TCP, UDP } = protocolNumbers;

const ports = (protocol: number, ...numbers: readonly number[]): FailsafePort[] =>
  numbers.map((port) => ({ protocol, port }));

export const dataplaneNames = ['nftables', 'ebpf'] as const;
export type DataplaneName = (typeof dataplaneNames)[number];

export const defaultDataplaneConfig: DataplaneConfig = {
  endpointToHost: 'drop',
  failsafeInbound: [...ports(TCP, 22, 179, 2379, 2380, 5473, 6443, 6666, 6667), ...ports(UDP, 68)],
  failsafeOutbound: [...ports(TCP, 179, 2379, 2380, 5473, 6443, 6666, 6667), ...ports(UDP, 53, 67)],
  vxlanFromWorkloads: false,
  ipipFromWorkloads: false,
  vxlanPort: 4789,
  dropInvalid: true,
  logPrefix: 'calico-packet',
};
