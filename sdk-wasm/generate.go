//go:build ignore

// Command generate writes sdk.zip. It stands in the folder sdk-wasm.
package main

import (
	"fmt"
	"os"

	sdk "github.com/heddle-rt/heddle/sdk-wasm"
)

func main() {
	archive, err := sdk.Pack(os.DirFS("."))
	if err == nil {
		err = os.WriteFile("sdk.zip", archive, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
