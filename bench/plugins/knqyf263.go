package plugins

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/knqyf263/go-plugin/examples/helloworld/greeting"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// knqyfEcho is github.com/knqyf263/go-plugin. It has no limits of its own; those that
// wazero has are switched on.
func (b *Bench) knqyfEcho(ctx context.Context, language, file string) (*echoer, error) {
	if _, err := b.guest(ctx, file); err != nil {
		return nil, err
	}
	loader, err := greeting.NewGreeterPlugin(ctx, greeting.WazeroRuntime(func(ctx context.Context) (wazero.Runtime, error) {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(echoMemory>>16).WithCloseOnContextDone(true))
		_, err := wasi_snapshot_preview1.Instantiate(ctx, r)
		return r, err
	}))
	if err != nil {
		return nil, err
	}
	p, err := loader.Load(ctx, filepath.Join(b.dir, strings.ReplaceAll(file, "/", "-")+".wasm"))
	if err != nil {
		return nil, err
	}
	return &echoer{
		name: "knqyf263/go-plugin", version: version("github.com/knqyf263/go-plugin"), language: language, limits: "time, memory (wazero's)",
		say: func() (answer, error) {
			limited, cancel := context.WithTimeout(ctx, echoTimeout)
			defer cancel()
			out, err := p.Greet(limited, &greeting.GreetRequest{Name: echoed})
			return answer{text: out.GetMessage()}, err
		},
		close: func() error { return p.Close(ctx) },
	}, nil
}
