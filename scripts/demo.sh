#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make lab`: a small shop on three nodes, its policies, and who then reaches whom.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "make lab: want root: it makes network namespaces" >&2; exit 1; }

if ./muslin lab status >/dev/null 2>&1; then
  for wanted in ${DATAPLANE:+"\"dataplane\": \"$DATAPLANE\""} ${DATASTORE:+"\"datastore\": \"$DATASTORE\""}; do
    grep -qF "$wanted" "${MUSLIN_LAB:-.lab}/lab.json" ||
      { echo "make lab: a lab runs already, and not with $wanted: end it first: make lab-down" >&2; exit 1; }
  done
  echo "a lab runs already: the demo is put into it"
  ./muslin apply -f examples/demo/workloads.yaml
else
  ./muslin lab up -f examples/demo/lab.yaml ${DATAPLANE:+--dataplane "$DATAPLANE"} ${DATASTORE:+--datastore "$DATASTORE"}
fi
./muslin apply -f examples/demo/policies
echo
./muslin probe --against-policy
cat <<'NEXT'

Try next:
  ./muslin explain --from ops/ci --to payments/ledger --port 9000
  ./muslin get networkpolicies -A -o wide
  ./muslin lab exec shop/web-1 -- ip route
  ./muslin delete -f examples/demo/policies/security-tier.yaml && ./muslin probe --from ops/ci --against-policy
  ./muslin lab status        (and when you have seen enough: make lab-down)
NEXT
