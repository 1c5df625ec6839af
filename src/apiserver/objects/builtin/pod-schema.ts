// SPDX-License-Identifier: Apache-2.0
/** The fields of a Pod, with the defaults that are constants (kubernetes pkg/apis/core/v1/defaults.go). */
import type { OpenApiSchema } from '../served-resource.ts';
import {
  anything,
  atomic,
  defaulted,
  flag,
  integer,
  intOrString,
  kept,
  labelSelector,
  listByKey,
  listOf,
  localReference,
  long,
  object,
  quantities,
  quantity,
  text,
  textMap,
  texts,
  time,
  written,
} from './fields.ts';

// ---- containers ------------------------------------------------------------------------------------------------------

const keyInObject = { name: text, key: written(text), optional: kept(flag) };
const fieldRef = atomic(object({ apiVersion: defaulted(text, 'v1'), fieldPath: written(text) }));
const resourceFieldRef = atomic(object({ containerName: text, resource: written(text), divisor: quantity }));

const variable = object({
  name: written(text),
  value: text,
  valueFrom: object({
    fieldRef,
    resourceFieldRef,
    configMapKeyRef: atomic(object(keyInObject)),
    secretKeyRef: atomic(object(keyInObject)),
    fileKeyRef: anything,
  }),
});

const variables = object({
  prefix: text,
  configMapRef: object({ name: text, optional: kept(flag) }),
  secretRef: object({ name: text, optional: kept(flag) }),
});

const httpGet = object({
  path: defaulted(text, '/'),
  port: written(intOrString),
  host: text,
  scheme: defaulted(text, 'HTTP'),
  httpHeaders: listOf(object({ name: written(text), value: written(text) })),
});

const actions = {
  exec: object({ command: texts }),
  httpGet,
  tcpSocket: object({ port: written(intOrString), host: text }),
};

const probe = object({
  ...actions,
  grpc: object({ port: written(integer), service: kept(defaulted(text, '')) }),
  initialDelaySeconds: integer,
  timeoutSeconds: defaulted(integer, 1),
  periodSeconds: defaulted(integer, 10),
  successThreshold: defaulted(integer, 1),
  failureThreshold: defaulted(integer, 3),
  terminationGracePeriodSeconds: kept(long),
});

const hook = object({ ...actions, sleep: object({ seconds: written(long) }) });

const seLinuxOptions = object({ user: text, role: text, type: text, level: text });
const profile = object({ type: written(text), localhostProfile: kept(text) });

const containerSecurity = object({
  capabilities: object({ add: texts, drop: texts }),
  privileged: kept(flag),
  seLinuxOptions,
  windowsOptions: anything,
  runAsUser: kept(long),
  runAsGroup: kept(long),
  runAsNonRoot: kept(flag),
  readOnlyRootFilesystem: kept(flag),
  allowPrivilegeEscalation: kept(flag),
  procMount: kept(text),
  seccompProfile: profile,
  appArmorProfile: profile,
});

const containerPort = object({
  name: text,
  hostPort: integer,
  containerPort: written(integer),
  protocol: defaulted(text, 'TCP'),
  hostIP: text,
});

const mount = object({
  name: written(text),
  readOnly: flag,
  recursiveReadOnly: kept(text),
  mountPath: written(text),
  subPath: text,
  mountPropagation: kept(text),
  subPathExpr: text,
});

const resources = object({
  limits: quantities,
  requests: quantities,
  claims: listByKey(object({ name: written(text), request: text }), ['name']),
});

const containerFields: { readonly [name: string]: OpenApiSchema } = {
  name: written(text),
  image: text,
  command: texts,
  args: texts,
  workingDir: text,
  ports: listByKey(containerPort, ['containerPort', 'protocol']),
  envFrom: listOf(variables),
  env: listByKey(variable, ['name']),
  resources: written(resources),
  resizePolicy: listOf(object({ resourceName: written(text), restartPolicy: written(text) })),
  restartPolicy: kept(text),
  restartPolicyRules: listOf(anything),
  volumeMounts: listByKey(mount, ['mountPath']),
  volumeDevices: listByKey(object({ name: written(text), devicePath: written(text) }), ['devicePath']),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle: object({ postStart: hook, preStop: hook, stopSignal: kept(text) }),
  terminationMessagePath: defaulted(text, '/dev/termination-log'),
  terminationMessagePolicy: defaulted(text, 'File'),
  imagePullPolicy: text,
  securityContext: containerSecurity,
  stdin: flag,
  stdinOnce: flag,
  tty: flag,
};

const container = object(containerFields);
const ephemeralContainer = object({ ...containerFields, targetContainerName: text });

// ---- volumes ---------------------------------------------------------------------------------------------------------

const item = object({ key: written(text), path: written(text), mode: kept(integer) });
const downwardFile = object({ path: written(text), fieldRef, resourceFieldRef, mode: kept(integer) });

const projection = object({
  secret: object({ name: text, items: listOf(item), optional: kept(flag) }),
  downwardAPI: object({ items: listOf(downwardFile) }),
  configMap: object({ name: text, items: listOf(item), optional: kept(flag) }),
  serviceAccountToken: object({
    audience: text,
    expirationSeconds: kept(defaulted(long, 3600)),
    path: written(text),
  }),
  clusterTrustBundle: anything,
  podCertificate: anything,
});

/** Kinds of volumes that Muslin's users do not need are taken as they come. */
const otherVolumes = [
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'gitRepo',
  'iscsi',
  'glusterfs',
  'rbd',
  'flexVolume',
  'cinder',
  'cephfs',
  'flocker',
  'fc',
  'azureFile',
  'vsphereVolume',
  'quobyte',
  'azureDisk',
  'photonPersistentDisk',
  'portworxVolume',
  'scaleIO',
  'storageos',
  'ephemeral',
  'image',
];

const volume = object({
  name: written(text),
  hostPath: object({ path: written(text), type: kept(defaulted(text, '')) }),
  emptyDir: object({ medium: text, sizeLimit: quantity }),
  secret: object({
    secretName: text,
    items: listOf(item),
    defaultMode: kept(defaulted(integer, 0o644)),
    optional: kept(flag),
  }),
  nfs: object({ server: written(text), path: written(text), readOnly: flag }),
  persistentVolumeClaim: object({ claimName: written(text), readOnly: flag }),
  downwardAPI: object({ items: listOf(downwardFile), defaultMode: kept(defaulted(integer, 0o644)) }),
  configMap: object({
    name: text,
    items: listOf(item),
    defaultMode: kept(defaulted(integer, 0o644)),
    optional: kept(flag),
  }),
  projected: object({ sources: written(listOf(projection)), defaultMode: kept(defaulted(integer, 0o644)) }),
  csi: object({
    driver: written(text),
    readOnly: kept(flag),
    fsType: kept(text),
    volumeAttributes: textMap,
    nodePublishSecretRef: localReference,
  }),
  ...Object.fromEntries(otherVolumes.map((name) => [name, anything])),
});

// ---- scheduling ------------------------------------------------------------------------------------------------------

const selectorTerm = atomic(
  object({
    matchExpressions: listOf(object({ key: written(text), operator: written(text), values: texts })),
    matchFields: listOf(object({ key: written(text), operator: written(text), values: texts })),
  }),
);

const podTerm = object({
  labelSelector,
  namespaces: texts,
  topologyKey: written(text),
  namespaceSelector: labelSelector,
  matchLabelKeys: texts,
  mismatchLabelKeys: texts,
});

const podAffinity = object({
  requiredDuringSchedulingIgnoredDuringExecution: listOf(podTerm),
  preferredDuringSchedulingIgnoredDuringExecution: listOf(
    object({ weight: written(integer), podAffinityTerm: written(podTerm) }),
  ),
});

const affinity = object({
  nodeAffinity: object({
    requiredDuringSchedulingIgnoredDuringExecution: atomic(
      object({ nodeSelectorTerms: written(listOf(selectorTerm)) }),
    ),
    preferredDuringSchedulingIgnoredDuringExecution: listOf(
      object({ weight: written(integer), preference: written(selectorTerm) }),
    ),
  }),
  podAffinity,
  podAntiAffinity: podAffinity,
});

const toleration = object({
  key: text,
  operator: text,
  value: text,
  effect: text,
  tolerationSeconds: kept(long),
});

const spreadConstraint = object({
  maxSkew: written(integer),
  topologyKey: written(text),
  whenUnsatisfiable: written(text),
  labelSelector,
  minDomains: kept(integer),
  nodeAffinityPolicy: kept(text),
  nodeTaintsPolicy: kept(text),
  matchLabelKeys: texts,
});

const podSecurity = object({
  seLinuxOptions,
  windowsOptions: anything,
  runAsUser: kept(long),
  runAsGroup: kept(long),
  runAsNonRoot: kept(flag),
  supplementalGroups: listOf(long),
  supplementalGroupsPolicy: kept(text),
  fsGroup: kept(long),
  sysctls: listOf(object({ name: written(text), value: written(text) })),
  fsGroupChangePolicy: kept(text),
  seccompProfile: profile,
  appArmorProfile: profile,
  seLinuxChangePolicy: kept(text),
});

export const podSpec: OpenApiSchema = object({
  volumes: { ...listByKey(volume, ['name']), 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
  initContainers: listByKey(container, ['name']),
  containers: written(listByKey(container, ['name'])),
  ephemeralContainers: listByKey(ephemeralContainer, ['name']),
  restartPolicy: defaulted(text, 'Always'),
  terminationGracePeriodSeconds: kept(defaulted(long, 30)),
  activeDeadlineSeconds: kept(long),
  dnsPolicy: defaulted(text, 'ClusterFirst'),
  nodeSelector: atomic({ type: 'object', additionalProperties: text }),
  serviceAccountName: text,
  serviceAccount: text,
  automountServiceAccountToken: kept(flag),
  nodeName: text,
  hostNetwork: flag,
  hostPID: flag,
  hostIPC: flag,
  shareProcessNamespace: kept(flag),
  securityContext: defaulted(podSecurity, {}),
  imagePullSecrets: listByKey(localReference, ['name']),
  hostname: text,
  subdomain: text,
  affinity,
  schedulerName: defaulted(text, 'default-scheduler'),
  tolerations: listOf(toleration),
  hostAliases: listByKey(object({ ip: written(text), hostnames: texts }), ['ip']),
  priorityClassName: text,
  priority: kept(integer),
  dnsConfig: object({
    nameservers: texts,
    searches: texts,
    options: listOf(object({ name: text, value: kept(text) })),
  }),
  readinessGates: listOf(object({ conditionType: written(text) })),
  runtimeClassName: kept(text),
  enableServiceLinks: kept(defaulted(flag, true)),
  preemptionPolicy: kept(text),
  overhead: quantities,
  topologySpreadConstraints: listByKey(spreadConstraint, ['topologyKey', 'whenUnsatisfiable']),
  setHostnameAsFQDN: kept(flag),
  os: object({ name: written(text) }),
  hostUsers: kept(flag),
  schedulingGates: listByKey(object({ name: written(text) }), ['name']),
  resourceClaims: listByKey(anything, ['name']),
  resources,
  hostnameOverride: kept(text),
});

// ---- status ----------------------------------------------------------------------------------------------------------

const state = object({
  waiting: object({ reason: text, message: text }),
  running: object({ startedAt: time }),
  terminated: object({
    exitCode: written(integer),
    signal: integer,
    reason: text,
    message: text,
    startedAt: time,
    finishedAt: time,
    containerID: text,
  }),
});

const containerStatus = object({
  name: written(text),
  state: written(state),
  lastState: written(state),
  ready: written(flag),
  restartCount: written(integer),
  image: written(text),
  imageID: written(text),
  containerID: text,
  started: kept(flag),
  allocatedResources: quantities,
  resources,
  volumeMounts: listByKey(mount, ['mountPath']),
  user: anything,
  allocatedResourcesStatus: listOf(anything),
  stopSignal: kept(text),
});

const podCondition = object({
  type: written(text),
  observedGeneration: long,
  status: written(text),
  lastProbeTime: written(time),
  lastTransitionTime: written(time),
  reason: text,
  message: text,
});

const address = object({ ip: written(text) });

export const podStatus: OpenApiSchema = object({
  observedGeneration: long,
  phase: text,
  conditions: listByKey(podCondition, ['type']),
  message: text,
  reason: text,
  nominatedNodeName: text,
  hostIP: text,
  hostIPs: listByKey(address, ['ip']),
  podIP: text,
  podIPs: listByKey(address, ['ip']),
  startTime: time,
  initContainerStatuses: listOf(containerStatus),
  containerStatuses: listOf(containerStatus),
  ephemeralContainerStatuses: listOf(containerStatus),
  qosClass: text,
  resize: text,
  resourceClaimStatuses: listByKey(anything, ['name']),
  extendedResourceClaimStatus: anything,
  resources,
});

/** Of kinds that make pods. */
export const podTemplate: OpenApiSchema = object({ metadata: anything, spec: written(podSpec) });
