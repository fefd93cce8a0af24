package guesttest

import (
	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Plugin is a guest that does one thing about every event.
type Plugin struct {
	Wants   hostapi.Action // about each event; the zero Action: it passes
	Logs    string         // a line for each call
	Traps   bool           // at each call
	Imports string         // a function that no node has
	Ballast []byte         // that the module carries in vain
}

// Refuses is a plugin that lets no event pass.
func Refuses(why string) Plugin {
	return Plugin{Wants: hostapi.Action{Kind: hostapi.Drop, Code: uint32(hostapi.DropForbidden), A: []byte(why)}}
}

// Says is a plugin that gives every event another text.
func Says(word string) Plugin {
	return Plugin{Wants: hostapi.Action{Kind: hostapi.Replace, A: []byte(`{"text":"` + word + `"}`)}}
}

// Module is the plugin in WebAssembly, the same each time.
func (p Plugin) Module() []byte {
	g := Guest{Text: p.Logs}
	if p.Traps {
		g.Batch = g.Batch.Op(wasm.OpUnreachable)
	}
	if p.Logs != "" {
		const info = 1
		g.Imports = append(g.Imports, "log")
		g.Batch = g.Batch.I32(info, TextAt, int64(len(p.Logs))).Call(0)
	}
	if p.Imports != "" {
		g.Imports = append(g.Imports, "env "+p.Imports)
	}
	size := 0
	if p.Wants.Kind != 0 {
		size = p.Wants.Size()
		for i := range hostapi.MaxBatch {
			a := p.Wants
			a.Record = i
			g.Actions = append(g.Actions, a)
		}
	}
	g.Batch = g.Batch.Get(0).I32(int64(size)).Op(wasm.OpI32Mul) // so much for each record
	if len(p.Ballast) > 0 {
		g.Change = func(m *wasm.Module) { m.Datas = append(m.Datas, wasm.Data{Mode: wasm.Passive, Bytes: p.Ballast}) }
	}
	return g.Module()
}
