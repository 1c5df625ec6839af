// SPDX-License-Identifier: Apache-2.0
/** KubeControllersConfiguration: which jobs the cluster's controllers do, and how. */
import {
  anyText,
  enabled,
  goDuration,
  labels,
  listOf,
  object,
  oneOf,
  port,
  resource,
  selector,
  setOf,
} from './fragments.ts';
import type { Schema } from './schema.ts';

const periodic: Schema = object({ reconcilerPeriod: goDuration });

const template: Schema = object(
  {
    generateName: { type: 'string', maxLength: 253, format: 'dns-name' },
    interfaceCIDRs: setOf({ type: 'string', format: 'any-net' }),
    interfacePattern: { type: 'string', format: 'regex' },
    nodeSelector: selector,
    labels,
    annotations: { type: 'object', additionalProperties: anyText, format: 'annotations' },
  },
  {
    'x-kubernetes-validations': [
      {
        rule: '(has(self.interfaceCIDRs) && size(self.interfaceCIDRs) > 0) || (has(self.interfacePattern) && size(self.interfacePattern) > 0)',
        message: 'got neither interfaceCIDRs nor interfacePattern, want one of them',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

const node: Schema = object({
  reconcilerPeriod: goDuration,
  syncLabels: enabled,
  hostEndpoint: object({
    autoCreate: enabled,
    createDefaultHostEndpoint: enabled,
    templates: listOf(template),
  }),
  leakGracePeriod: goDuration,
});

const controllers: Schema = object({
  node,
  policy: periodic,
  workloadEndpoint: periodic,
  serviceAccount: periodic,
  namespace: periodic,
  loadBalancer: object({
    assignIPs: { ...oneOf('AllServices', 'RequestedServicesOnly'), default: 'AllServices' },
  }),
  policyMigration: object({ enabled: { ...enabled, default: 'Enabled' } }),
});

const spec: Schema = object(
  {
    logSeverityScreen: oneOf('None', 'Debug', 'Info', 'Warning', 'Error', 'Fatal', 'Panic'),
    healthChecks: { ...enabled, default: 'Enabled' },
    etcdV3CompactionPeriod: goDuration,
    prometheusMetricsPort: port,
    debugProfilePort: { ...port, format: 'int32' },
    controllers,
  },
  { required: ['controllers'] },
);

export const kubeControllersConfiguration: Schema = resource(spec, {
  required: ['spec'],
  status: object({
    runningConfig: spec,
    environmentVars: { type: 'object', additionalProperties: anyText },
  }),
});
