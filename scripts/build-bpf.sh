#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles bpf/*.c into bpf/build/*.o, those that are older than their sources; says nothing when all is there.
set -eu
cd "$(dirname "$0")/../bpf"
mkdir -p build
newest=$(ls -t ./*.h | head -n 1)
for source in *.c; do
  object="build/${source%.c}.o"
  if [ -f "$object" ] && [ "$object" -nt "$source" ] && [ "$object" -nt "$newest" ] && [ "$object" -nt ../scripts/build-bpf.sh ]; then
    continue
  fi
  echo "compiling bpf/$source"
  # written beside and moved: an interrupted compiler leaves no half an object
  clang -target bpf -O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-function -Wno-address-of-packed-member \
    -I. "-I/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object.new"
  mv "$object.new" "$object"
done
