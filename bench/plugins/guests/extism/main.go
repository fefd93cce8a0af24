//go:build wasip1

// Extism is an echo for Extism, by its PDK for Go.
package main

import "github.com/extism/go-pdk"

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

func main() {} // is never called
