// SPDX-License-Identifier: Apache-2.0
/** The admission plug-in ServiceAccount: a pod has an account that exists, and its token as a volume. */
import type { Json, JsonObject } from '../../../model/types.ts';
import { ApiError } from '../api-error.ts';
import { listAt, mapAt, memberOf, textAt } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext } from '../served-resource.ts';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws {ApiError} 403 when the account does not exist */
export function withServiceAccount(pod: ApiObject, context: RequestContext): ApiObject {
  const spec = mapAt(pod, 'spec');
  const name = textAt(spec, 'serviceAccountName') || 'default';
  const namespace = textAt(pod, 'metadata', 'namespace');
  const account = context.lookup('', 'serviceaccounts', namespace, name);
  if (!account) throw withoutAccount(pod, namespace, name);
  const named = { ...spec, serviceAccountName: name, serviceAccount: name };
  return { ...pod, spec: isMounted(spec, account) ? withToken(named, context) : named };
}

function withoutAccount(pod: ApiObject, namespace: string, name: string): ApiError {
  const title = pod.metadata.name;
  return new ApiError(
    403,
    'Forbidden',
    `pods ${JSON.stringify(title)} is forbidden: error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
    { name: title, kind: 'pods' },
  );
}

function isMounted(spec: JsonObject, account: ApiObject): boolean {
  const own =
    memberOf(spec, 'automountServiceAccountToken') ?? memberOf(account, 'automountServiceAccountToken');
  return own !== false;
}

function withToken(spec: JsonObject, context: RequestContext): JsonObject {
  const containers = listAt(spec, 'containers');
  const isWanted = (one: Json) =>
    !listAt(one, 'volumeMounts').some((mount) => textAt(mount, 'mountPath') === mountPath);
  if (!containers.some(isWanted)) return spec;
  const name = `kube-api-access-${context.newSuffix(5)}`;
  const mounted = (one: Json) => {
    if (!isWanted(one)) return one;
    return {
      ...mapAt(one),
      volumeMounts: [...listAt(one, 'volumeMounts'), { name, readOnly: true, mountPath }],
    };
  };
  const lists = ['initContainers', 'containers'].filter((list) => listAt(spec, list).length > 0);
  return {
    ...spec,
    ...Object.fromEntries(lists.map((list) => [list, listAt(spec, list).map(mounted)])),
    volumes: [...listAt(spec, 'volumes'), tokenVolume(name)],
  };
}

function tokenVolume(name: string): Json {
  const namespaceFile = {
    path: 'namespace',
    fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' },
  };
  const sources = [
    // An hour, and seven seconds by which a kubelet tells such tokens from those that authors asked for.
    { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [namespaceFile] } },
  ];
  return { name, projected: { sources, defaultMode: 0o644 } };
}
