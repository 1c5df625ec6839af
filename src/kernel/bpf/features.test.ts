// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroup2Mount } from './features.ts';

test('the cgroup2 tree is found among mounts', () => {
  const hybrid = [
    '24 30 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
    '25 24 0:23 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu',
    '36 24 0:34 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw',
  ].join('\n');
  assert.equal(cgroup2Mount(hybrid), '/sys/fs/cgroup/uni fied');
  assert.equal(cgroup2Mount('25 24 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n'), null);
  assert.equal(cgroup2Mount(''), null);
});
