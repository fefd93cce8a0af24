#!/usr/bin/env bash
# Builds a plugin: build.sh SOURCE.ts OUT.wasm [options of asc]
# The compiler and "@heddle-rt/plugin" are those of the source's own project if its
# node_modules has them, or else those of this folder (`npm ci` here).
set -euo pipefail
if (($# < 2)); then
  echo "usage: build.sh SOURCE.ts OUT.wasm [options of asc]" >&2
  exit 2
fi
sdk=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
folder=$(cd "$(dirname "$1")" && pwd -P)
source=$(basename "$1")
mkdir -p "$(dirname "$2")"
out=$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")
shift 2

asc=
for at in "$folder" "$sdk"; do
  while [[ -z $asc && $at != / ]]; do
    [[ -f $at/node_modules/assemblyscript/bin/asc.js ]] && asc=$at/node_modules/assemblyscript/bin/asc.js
    at=$(dirname "$at")
  done
done
if [[ -z $asc ]]; then
  echo "build.sh: there is no assemblyscript: run npm ci in $sdk, or npm install assemblyscript in your project" >&2
  exit 1
fi

packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
mkdir "$packages/@heddle-rt"
ln -s "$sdk" "$packages/@heddle-rt/plugin"

cd "$folder"
node "$asc" "$source" --outFile "$out" --config "$sdk/asconfig.json" --path "$packages" "$@"
