package plugins

import (
	"context"
	"fmt"

	extism "github.com/extism/go-sdk"
)

// extismEcho is github.com/extism/go-sdk, with the limits that it has.
func (b *Bench) extismEcho(ctx context.Context, language, file string) (*echoer, error) {
	code, err := b.guest(ctx, file)
	if err != nil {
		return nil, err
	}
	p, err := extism.NewPlugin(ctx, extism.Manifest{
		Wasm:    []extism.Wasm{extism.WasmData{Data: code}},
		Memory:  &extism.ManifestMemory{MaxPages: echoMemory >> 16},
		Timeout: uint64(echoTimeout.Milliseconds()),
	}, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return nil, err
	}
	payload := []byte(echoed)
	return &echoer{
		name: "extism/go-sdk", version: version("github.com/extism/go-sdk"), language: language, limits: "time, memory",
		say: func() (answer, error) {
			status, out, err := p.CallWithContext(ctx, "echo", payload)
			if err == nil && status != 0 {
				err = fmt.Errorf("status %d", status)
			}
			return answer{bytes: out}, err
		},
		close: func() error { return p.Close(ctx) },
	}, nil
}
