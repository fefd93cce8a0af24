#!/bin/sh
# Builds a plugin in Go: build.sh FOLDER OUT.wasm
set -eu
[ $# -eq 2 ] || { echo "usage: build.sh FOLDER OUT.wasm" >&2; exit 2; }
case $2 in /*) out=$2 ;; *) out=$PWD/$2 ;; esac
cd "$1"
GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 exec "${GO:-go}" build -buildmode=c-shared -trimpath -ldflags="-s -w" -o "$out" .
