#!/bin/sh
# Builds a plugin:  build.sh SOURCE.c OUT.wasm [OPTION…]
# Options are clang's: -DHEDDLE_OUTPUT=1048576, -msimd128.
# CLANG and WASM_LD name other tools than clang and wasm-ld.
set -eu
if [ $# -lt 2 ]; then
	echo "usage: build.sh SOURCE.c OUT.wasm [OPTION...]" >&2
	exit 2
fi
sdk=$(cd "$(dirname "$0")" && pwd)
source=$1 out=$2
shift 2
clang=${CLANG:-clang} ld=${WASM_LD:-wasm-ld}
for tool in "$clang" "$ld"; do
	if ! command -v "$tool" >/dev/null; then
		echo "build.sh: there is no $tool; on Debian: apt-get install clang lld" >&2
		exit 1
	fi
done
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

# In two steps: clang would call wasm-opt if it is there, which may not know bulk memory.
# The stack comes first, so that an overflow traps and does not reach variables.
"$clang" --target=wasm32 -std=c11 -O3 -ffreestanding -fvisibility=hidden -mbulk-memory -mnontrapping-fptoint -msign-ext \
	-Wall -Wextra -I"$sdk" "$@" -c "$source" -o "$objects/plugin.o"
"$ld" --no-entry --stack-first -z stack-size=65536 --gc-sections --strip-all "$objects/plugin.o" -o "$out"
