// SPDX-License-Identifier: Apache-2.0
/** Probes against the running kernel. */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { hasHelper, kernelFeature, kernelFeatures } from '../../src/kernel/bpf/features.ts';
import { kernelAtLeast } from '../../src/kernel/release.ts';
import { rootTest } from './root-test.ts';

rootTest('what a kernel of this version must have is found', () => {
  for (const { name, present, since } of kernelFeatures()) {
    const [major = 0, minor = 0] = since.replace('Linux ', '').split('.').map(Number);
    const optional = ['cgroup2', 'jit', 'jit harden'].includes(name); // settings, no matter of version
    if (kernelAtLeast(major, minor) && !optional) assert.ok(present, `${name} on ${release()}`);
  }
  assert.equal(kernelFeature('tcx').present, kernelAtLeast(6, 6));
  assert.equal(kernelFeatures(), kernelFeatures(), 'asked once');
});

rootTest('a helper that is not there is missed', () => {
  assert.equal(hasHelper(9999), false);
  assert.equal(hasHelper(1), true);
});
