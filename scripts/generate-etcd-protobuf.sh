#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# src/datastore/etcd/api/etcd.proto -> etcd_pb.ts beside it. Needed only after a change to the .proto: the generator is fetched
# for the run (pinned here) and is no dependency.
set -eu
cd "$(dirname "$0")/../src/datastore/etcd/api"
template='{"version":"v2","plugins":[{"local":"protoc-gen-es","out":".","opt":["target=ts"]}]}'
npx --yes --package=@bufbuild/buf@1.75.0 --package=@bufbuild/protoc-gen-es@2.17.0 \
  buf generate --template "$template" --path etcd.proto .
