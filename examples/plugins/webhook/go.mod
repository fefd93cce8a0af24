module github.com/heddle-rt/heddle/examples/plugins/webhook

go 1.24

require github.com/heddle-rt/heddle/sdk-wasm/go v0.0.0

replace github.com/heddle-rt/heddle/sdk-wasm/go => ../../../sdk-wasm/go
