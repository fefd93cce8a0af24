//go:build clang

package meter

//go:generate sh -c "clang --target=wasm32 -O2 -nostdlib -ffreestanding -mbulk-memory -c -o guest.o testdata/guest/guest.c && wasm-ld --no-entry -z stack-size=16384 --strip-debug -o testdata/guest/guest.wasm guest.o && rm guest.o"
