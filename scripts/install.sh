#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, naming each thing as it is installed; asks nothing; does nothing when all is there.
set -eu
cd "$(dirname "$0")/.."

# Debian packages: what each is for stands in docs/dependencies.md
missing=""
for pair in nft:nftables ip:iproute2 ping:iputils-ping clang:clang openssl:openssl etcd:etcd-server etcdctl:etcd-client; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%:*}" ] || missing="$missing ${pair##*:}"
done
for pair in bpf/bpf_helpers.h:libbpf-dev linux/bpf.h:linux-libc-dev; do
  [ -f "/usr/include/${pair%%:*}" ] || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { echo "cannot install:$missing: want root" >&2; exit 1; }
  for package in $missing; do echo "installing Debian package $package"; done
  apt-get update -qq
  # packages' own services stay off (etcd's would take port 2379): Debian asks policy-rc.d before it starts one
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# npm packages, and with them Node 24 and 26, as the lock file has them
stamp=node_modules/.muslin-installed
if [ ! -f "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  command -v npm >/dev/null 2>&1 || { echo "cannot install npm packages: want npm on PATH" >&2; exit 1; }
  node -p '
    const { dependencies, devDependencies, optionalDependencies } = require("./package.json");
    Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
      .map(([name, version]) => `installing npm package ${name} ${version}`).join("\n")'
  # npm's own cache would stand in the home folder: nothing is put outside the clone but Debian packages
  npm ci --no-audit --no-fund --ignore-scripts --loglevel=error --no-update-notifier --cache "$PWD/.cache/npm"
  rm -rf .cache
  touch "$stamp"
fi

# the eBPF programs
scripts/build-bpf.sh
