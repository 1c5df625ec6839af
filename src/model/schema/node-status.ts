// SPDX-License-Identifier: Apache-2.0
/** CalicoNodeStatus: what a node says of its daemons, sessions and routes. */
import { anyText, listOf, name, object, oneOf, resource, setOf, whole } from './fragments.ts';
import type { Schema } from './schema.ts';

const daemon: Schema = object({
  state: oneOf('Ready', 'NotReady'),
  version: anyText,
  routerID: anyText,
  lastBootTime: anyText,
  lastReconfigurationTime: anyText,
});

const peers: Schema = listOf(
  object({
    peerIP: anyText,
    type: oneOf('NodeMesh', 'NodePeer', 'GlobalPeer'),
    state: oneOf('Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established', 'Close'),
    since: anyText,
  }),
);

const routes: Schema = listOf(
  object({
    type: oneOf('FIB', 'RIB'),
    destination: anyText,
    gateway: anyText,
    interface: anyText,
    learnedFrom: object({
      sourceType: oneOf('Kernel', 'Static', 'Direct', 'NodeMesh', 'BGPPeer'),
      peerIP: anyText,
    }),
  }),
);

const status: Schema = object({
  lastUpdated: { type: 'string', format: 'date-time', nullable: true },
  agent: object({ birdV4: daemon, birdV6: daemon }),
  bgp: object(
    {
      numberEstablishedV4: whole,
      numberNotEstablishedV4: whole,
      numberEstablishedV6: whole,
      numberNotEstablishedV6: whole,
      peersV4: peers,
      peersV6: peers,
    },
    {
      required: [
        'numberEstablishedV4',
        'numberNotEstablishedV4',
        'numberEstablishedV6',
        'numberNotEstablishedV6',
      ],
    },
  ),
  routes: object({ routesV4: routes, routesV6: routes }),
});

export const calicoNodeStatus: Schema = resource(
  object(
    {
      node: {
        ...name,
        minLength: 1,
        'x-kubernetes-validations': [
          {
            rule: 'self == oldSelf',
            message: 'want the node that the status was made for',
            reason: 'FieldValueInvalid',
          },
        ],
      },
      classes: setOf(oneOf('Agent', 'BGP', 'Routes'), { minItems: 1, maxItems: 3 }),
      updatePeriodSeconds: { type: 'integer', format: 'int32', minimum: 0, maximum: 86_400 },
    },
    { required: ['node', 'classes'] },
  ),
  { required: ['spec'], status },
);
