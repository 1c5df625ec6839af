// SPDX-License-Identifier: Apache-2.0
import type { ServedResource } from './served-resource.ts';

export const builtinResources: readonly ServedResource[] = [];
