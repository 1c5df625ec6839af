// SPDX-License-Identifier: Apache-2.0
/** One address of a service with nothing special about it. */
import type { ServiceBackend, ServiceFrontend } from '../../src/contract/services.ts';
import { parseAddress } from '../../src/lib/address.ts';

type Differing = Partial<ServiceFrontend> & {
  /** The same for clients inside and outside. @defaultValue none */
  readonly backends?: readonly ServiceBackend[];
};

/** 10.96.0.1:80, TCP, as a cluster IP, but for what is given. */
export function plainFrontend({ backends = [], ...change }: Differing = {}): ServiceFrontend {
  return {
    kind: 'cluster-ip',
    address: parseAddress('10.96.0.1'),
    family: 4,
    protocol: 6,
    port: 80,
    portName: '',
    inside: backends,
    outside: backends,
    withoutInside: 'reject',
    withoutOutside: 'reject',
    sources: null,
    affinitySeconds: 0,
    maglev: false,
    ...change,
  };
}
