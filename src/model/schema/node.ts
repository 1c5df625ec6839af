// SPDX-License-Identifier: Apache-2.0
/** Node of projectcalico.org/v3: what a node has for BGP, tunnels and encryption. */
import { anyText, asNumber, listOf, name, object, resource } from './fragments.ts';
import type { Schema } from './schema.ts';

const ipv4: Schema = { type: 'string', format: 'ipv4' };
const ipv6: Schema = { type: 'string', format: 'ipv6' };
const mac: Schema = { type: 'string', format: 'mac' };
const key: Schema = { type: 'string', format: 'wireguard-key' };

export const node: Schema = resource(
  object({
    bgp: object(
      {
        asNumber,
        ipv4Address: { type: 'string', format: 'ipv4-interface' },
        ipv6Address: { type: 'string', format: 'ipv6-interface' },
        ipv4IPIPTunnelAddr: ipv4,
        routeReflectorClusterID: ipv4,
      },
      { minProperties: 1 },
    ),
    ipv4VXLANTunnelAddr: ipv4,
    vxlanTunnelMACAddr: mac,
    ipv6VXLANTunnelAddr: ipv6,
    vxlanTunnelMACAddrV6: mac,
    orchRefs: listOf(object({ nodeName: anyText, orchestrator: anyText }, { required: ['orchestrator'] })),
    wireguard: object({ interfaceIPv4Address: ipv4, interfaceIPv6Address: ipv6 }),
    addresses: listOf(
      object(
        {
          address: { type: 'string', format: 'any-net' },
          type: { type: 'string', enum: ['CalicoNodeIP', 'InternalIP', 'ExternalIP', ''] },
        },
        { required: ['address'] },
      ),
    ),
    interfaces: listOf(object({ name, addresses: listOf({ type: 'string', format: 'any-net' }) })),
  }),
  {
    status: object({
      wireguardPublicKey: key,
      wireguardPublicKeyV6: key,
      podCIDRs: listOf({ type: 'string', format: 'any-net' }),
    }),
  },
);
