module github.com/heddle-rt/heddle/sdk-wasm/go

go 1.24
