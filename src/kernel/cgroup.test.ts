// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupRoot, hasCgroups } from './cgroup.ts';

test('the root is where version 2 is mounted, beside version 1 or alone', () => {
  const hybrid = 'cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n';
  assert.equal(cgroupRoot(hybrid), '/sys/fs/cgroup/unified');
  assert.equal(cgroupRoot('none /a\\040b cgroup2 rw 0 0\n'), '/a b');
  assert.ok(hasCgroups(hybrid));
});

test('where nobody mounted it, it is missed under its usual name', () => {
  const none = 'cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n';
  assert.equal(cgroupRoot(none), '/sys/fs/cgroup');
  assert.ok(!hasCgroups(none));
});
