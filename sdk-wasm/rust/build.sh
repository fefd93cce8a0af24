#!/bin/sh
# Builds a plugin without cargo:  build.sh SOURCE OUT.wasm [OPTION…]
# SOURCE is a file, or a folder with src/lib.rs or a file of its own name. What it
# begins with decides: with #![no_std] the SDK has no std, and an allocator only if
# there is "extern crate alloc". Options are rustc's, for the plugin.
# RUSTC names the compiler; else it is the first of the path and /usr/bin that has a
# library for wasm32-unknown-unknown.
set -eu
if [ $# -lt 2 ]; then
	echo "usage: build.sh SOURCE OUT.wasm [OPTION...]" >&2
	exit 2
fi
sdk=$(cd "$(dirname "$0")" && pwd)
source=$1 out=$2 target=wasm32-unknown-unknown
shift 2
if [ -d "$source" ]; then
	if [ -f "$source/src/lib.rs" ]; then source=$source/src/lib.rs; else source=$source/$(basename "$source").rs; fi
fi

able() {
	command -v "$1" >/dev/null && ls "$("$1" --print target-libdir --target $target 2>/dev/null)"/libcore-*.rlib >/dev/null 2>&1
}
compiler=
for candidate in ${RUSTC:-rustc /usr/bin/rustc}; do
	if [ -z "$compiler" ] && able "$candidate"; then compiler=$candidate; fi
done
if [ -z "$compiler" ]; then
	echo "build.sh: there is no rustc with a library for $target; on Debian: apt-get install rustc libstd-rust-dev-wasm32 lld" >&2
	exit 1
fi

flags="--edition 2021 --target $target -C opt-level=3 -C panic=abort -C codegen-units=1 -C target-feature=+bulk-memory,+nontrapping-fptoint"
features='--cfg feature="std" --cfg feature="alloc"'
if grep -q '^#!\[no_std\]' "$source"; then
	features=
	if grep -q '^extern crate alloc' "$source"; then
		features='--cfg feature="alloc"'
		minor=$("$compiler" --version | cut -d. -f2)
		if [ "$minor" -lt 68 ]; then # without std these have no word for "out of memory" that is stable
			features="$features --cfg feature=\"bootstrap\""
			export RUSTC_BOOTSTRAP=1
		fi
	fi
fi
linker=
if command -v wasm-ld >/dev/null; then linker="-C linker=wasm-ld"; fi # Debian's rustc has none of its own
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# shellcheck disable=SC2086 # flags and features are lists
"$compiler" $flags $features --crate-name heddle --crate-type rlib --remap-path-prefix "$sdk=heddle" "$sdk/src/lib.rs" -o "$made/libheddle.rlib"
# shellcheck disable=SC2086
"$compiler" $flags $linker --crate-name plugin --crate-type cdylib -C lto=fat -C strip=symbols \
	--remap-path-prefix "$(dirname "$source")=." --extern "heddle=$made/libheddle.rlib" "$@" "$source" -o "$out"
