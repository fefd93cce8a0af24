package app

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// refused is a deploy that must not be, and what its developer reads.
type refused struct {
	module   []byte
	manifest string
	want     string
}

// refuses tries deploys while others go on.
func (r *raid) refuses(t *testing.T, all map[string]refused) {
	t.Helper()
	r.peace(t, 20, func() {
		for name, c := range all {
			s := r.put(t, "acme", "crafted", c.module, binding("crafted")+c.manifest)
			if s.status != http.StatusBadRequest || s.Code != "invalid" || s.Field != "bundle" || !strings.Contains(s.Message, c.want) {
				t.Errorf("%s: %d %s, want %s", name, s.status, s.js, c.want)
			}
		}
	})
	if n := r.counted("heddle_plugin_deploys_total", map[string]string{"result": "refused"}); n != float64(len(all)) {
		t.Errorf("%v of %d refused deploys are counted", n, len(all))
	}
	if list := r.acme.must("GET", "plugins", "").Plugins; len(list) != 0 {
		t.Errorf("they have left %+v", list)
	}
	r.calm(t)
}

// TestHostileImports: what was not granted is not there, and neither is anything else.
func TestHostileImports(t *testing.T) {
	r := newRaid(t)
	imports := func(names ...string) []byte { return raw{Imports: names}.Module() }
	all := map[string]refused{
		"an unknown function":     {imports("fetch"), "", "the module imports fetch, which this node does not have"},
		"of nobody":               {imports("env fetch"), "", "the module imports fetch from env; there are only heddle and wasi_snapshot_preview1"},
		"a file":                  {imports(guesttest.WASI + "path_link"), "", "the module imports path_link from WASI; of that there are only clocks"},
		"a socket":                {imports(guesttest.WASI + "sock_accept"), "", "the module imports sock_accept from WASI"},
		"the rewriter's tick":     {imports("heddle:meter tick"), "", `modules that begin with "heddle:" are the host's own`},
		"the rewriter's overflow": {imports("heddle:meter overflow"), "", `modules that begin with "heddle:" are the host's own`},
		"the rewriter's other":    {imports("heddle: x"), "", `modules that begin with "heddle:" are the host's own`},
		"a memory": {raw{Change: func(m *wasm.Module) {
			m.Imports = append(m.Imports, wasm.Import{Module: "env", Name: "memory", Kind: wasm.KindMemory})
		}}.Module(), "", "imports its memory (env.memory)"},
		"a global of the rewriter": {raw{Change: func(m *wasm.Module) {
			m.Imports = append(m.Imports, wasm.Import{Module: "heddle", Name: "slice", Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I32, Mutable: true}})
		}}.Module(), "", "imports a global (heddle.slice): only functions"},
		"a function of wrong type":  {raw{Imports: []string{"now"}, Change: func(m *wasm.Module) { m.Imports[0].Func = 4 }}.Module(), "", "now"},
		"a capability not known":    {imports(), "capabilities: [root]\n", `there is no capability "root"`},
		"a capability not for them": {raw{}.Module(), "capabilities: [secrets]\n", "the plugin asks for the capability secrets, which the operator does not grant to this tenant"},
		"more memory":               {raw{}.Module(), "limits: {memory: 512MiB}\n", "limits.memory of the manifest is more than the operator permits"},
		"more output":               {raw{}.Module(), "limits: {output: 8MiB}\n", "limits.output of the manifest is more than the operator permits"},
		"more calls":                {raw{}.Module(), "limits: {host_calls: 1000000}\n", "limits.host_calls of the manifest is more than the operator permits"},
		"more logs":                 {raw{}.Module(), "limits: {logs: 1MiB}\n", "limits.logs of the manifest is more than the operator permits"},
		"a slot of a builtin":       {raw{}.Module(), "actions: [{name: \"room:delete\"}]\n", "room:delete"},
	}
	for _, f := range hostapi.Functions() {
		if f.Needs != "" {
			all[f.Name+" not granted"] = refused{imports(f.Name), "", "the module imports " + f.Name + ": that needs the capability " + string(f.Needs)}
		}
	}
	r.node.stop()
	r.node.set = append(r.node.set, "tenants.acme.plugins.capabilities=[emit, http, kv, lookup, timers]")
	r.node.start()
	r.before = held()
	r.refuses(t, all)
}

// endless and its like are functions that do not come to an end.
func endless() wat { return wat{}.Forever(nil) }

// TestHostileModules: modules that are crafted so that a reader or the rewriter takes
// them for what they are not. All are refused before anything is rewritten, but those
// that hang when they are started: these are stopped.
func TestHostileModules(t *testing.T) {
	r := newRaid(t)
	changed := func(f func(m *wasm.Module)) []byte { return raw{Change: f}.Module() }
	export := func(name string, kind wasm.Kind, index uint32) []byte {
		return changed(func(m *wasm.Module) { m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: kind, Index: index}) })
	}
	batch := func(code ...byte) []byte { return raw{Batch: code}.Module() }
	good := raw{}.Module()
	patch := func(at int, b ...byte) []byte {
		return append(append(bytes.Clone(good[:at]), b...), good[at+len(b):]...)
	}
	custom := func(b ...byte) []byte { return append(bytes.Clone(good), b...) }
	const own = `names that begin with "heddle:" are the host's: rename it`
	brief := "limits: {timeout: 30ms, start: 200ms}\n"
	r.refuses(t, map[string]refused{
		"no bytes":                 {nil, "", "is empty"},
		"text":                     {[]byte("(module)"), "", "wat2wasm"},
		"another version":          {patch(4, 2), "", "version"},
		"a component":              {patch(4, 0x0d, 0, 1, 0), "", "component"},
		"a header alone":           {good[:8], "", "memory"},
		"sections twice":           {append(bytes.Clone(good), good[8:]...), "", "comes twice, or after a section that it must precede"},
		"an unknown section":       {custom(14, 0), "", "section id 14 is unknown"},
		"a section too long":       {custom(0, 0xff, 0xff, 0xff, 0xff, 0x0f), "", "byte"},
		"a section length of ten":  {custom(0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1), "", "byte"},
		"a custom section no name": {custom(0, 1, 0xff), "", "custom section"},
		"a name no UTF-8":          {export("\xff\xfe", wasm.KindFunc, 0), "", "export section"},
		"the slice's name":         {export("heddle:slice", wasm.KindFunc, 0), "", own},
		"the depth's name":         {export("heddle:depth", wasm.KindMemory, 0), "", own},
		"a captured global's name": {export("heddle:g0", wasm.KindFunc, 0), "", own},
		"one name twice":           {export("memory", wasm.KindMemory, 0), "", "memory"},
		"an export not there":      {export("x", wasm.KindFunc, 4), "", `exports "x": func 4 is not there`},
		"an export of the slice":   {export("x", wasm.KindGlobal, 0), "", `exports "x": global 0 is not there`},
		"an export of the depth":   {export("x", wasm.KindGlobal, 1), "", `exports "x": global 1 is not there`},
		"a call of the tick":       {batch(byte(wasm.OpCall), 4, byte(wasm.OpDrop), byte(wasm.OpI32Const), 0), "", "function 4 is not there"},
		"a call of a helper":       {batch(byte(wasm.OpCall), 6, byte(wasm.OpI32Const), 0), "", "function 6 is not there"},
		"the slice read":           {batch(byte(wasm.OpGlobalGet), 0), "", "global 0 is not there"},
		"the slice set":            {batch(byte(wasm.OpI32Const), 0x7f, byte(wasm.OpGlobalSet), 0, byte(wasm.OpI32Const), 0), "", "global 0 is not there"},
		"the depth set":            {batch(byte(wasm.OpI32Const), 0, byte(wasm.OpGlobalSet), 1, byte(wasm.OpI32Const), 0), "", "global 1 is not there"},
		"a label too far":          {batch(byte(wasm.OpBr), 1, byte(wasm.OpI32Const), 0), "", "label 1"},
		"a local too far":          {batch(byte(wasm.OpLocalGet), 8), "", "local"},
		"a type too far":           {changed(func(m *wasm.Module) { m.Funcs[0] = 99 }), "", "type 99 is not there"},
		"a start too far":          {changed(func(m *wasm.Module) { m.HasStart, m.Start = true, 4 }), "", "start section: function 4 is not there"},
		"a start with parameters":  {changed(func(m *wasm.Module) { m.HasStart, m.Start = true, 2 }), "", "start"},
		"code without a function":  {changed(func(m *wasm.Module) { m.Funcs = m.Funcs[:3] }), "", "more or fewer functions"},
		"code behind the end":      {batch(byte(wasm.OpI32Const), 0, byte(wasm.OpEnd), byte(wasm.OpNop)), "", "function 3"},
		"no end":                   {changed(func(m *wasm.Module) { m.Codes[3].Body = m.Codes[3].Body[:2] }), "", "function 3"},
		"wrong types":              {batch(byte(wasm.OpI64Const), 0), "", "not valid"},
		"an unknown opcode":        {batch(0x27), "", "function 3"},
		"a thread":                 {batch(0xfe, 0x10, 2, 0), "", "threads"},
		"many locals":              {changed(func(m *wasm.Module) { m.Codes[3].Locals[0].N = 1 << 31 }), "", "local variables"},
		"locals that add up": {changed(func(m *wasm.Module) {
			m.Codes[3].Locals = []wasm.Locals{{N: ^uint32(0), Type: wasm.I32}, {N: 2, Type: wasm.I32}}
		}), "", "local variables"},
		"two memories":            {changed(func(m *wasm.Module) { m.Memories = append(m.Memories, wasm.Size{Min: 1}) }), "", "more than one memory"},
		"no memory":               {changed(func(m *wasm.Module) { m.Memories, m.Exports, m.Datas = nil, m.Exports[1:], nil }), "", "memory"},
		"all the memory":          {changed(func(m *wasm.Module) { m.Memories[0].Min = 65536 }), "", "starts with 65536 pages of 64 KiB, the limit is 512"},
		"too much memory":         {changed(func(m *wasm.Module) { m.Memories[0].Min = 65537 }), "", "which is not valid"},
		"a large table":           {changed(func(m *wasm.Module) { m.Tables = []wasm.Table{{Elem: wasm.FuncRef, Size: wasm.Size{Min: 1 << 31}}} }), "", "use fewer indirect functions"},
		"data behind the memory":  {changed(func(m *wasm.Module) { m.Datas[0].Offset.Raw = wat{}.I32(-1) }), "", "out of bounds"},
		"data of another number":  {changed(func(m *wasm.Module) { m.HasCount = true; m.Datas = nil }), "", "heddle_buffers"},
		"a count that lies":       {[]byte("\x00asm\x01\x00\x00\x00\x01\x05\xff\xff\xff\xff\x0f"), "", "more than its bytes can hold"},
		"a bomb for the compiler": {raw{Batch: bomb(30000)}.Module(), "", "to compile"},
		"no batch":                {changed(func(m *wasm.Module) { m.Exports = m.Exports[:4] }), "", "heddle_batch"},
		"batch is a memory":       {changed(func(m *wasm.Module) { m.Exports[4] = wasm.Export{Name: hostapi.ExportBatch, Kind: wasm.KindMemory} }), "", "heddle_batch"},
		"batch of another type":   {changed(func(m *wasm.Module) { m.Exports[4].Index = 0 }), "", "heddle_batch"},
		"init of another type":    {changed(func(m *wasm.Module) { m.Exports[3].Index = 1 }), "", "heddle_init"},
		"abi of another type":     {changed(func(m *wasm.Module) { m.Exports[1].Index = 3 }), "", "heddle_abi"},
		"buffers of another type": {changed(func(m *wasm.Module) { m.Exports[2].Index = 0 }), "", "heddle_buffers"},
		"idle of another type":    {export(hostapi.ExportIdle, wasm.KindFunc, 3), "", "heddle_idle"},
		"seed of another type":    {export(hostapi.ExportSeed, wasm.KindFunc, 3), "", "heddle_seed"},
		"a start that hangs":      {raw{Start: endless()}.Module(), brief, "out of time: a call may last 200ms"},
		"a start that recurses":   {raw{Start: wat{}.Call(4), Change: func(m *wasm.Module) {}}.Module(), "", "calls are nested too deep"},
		"an init that hangs":      {raw{Init: endless()}.Module(), brief, "heddle_init: guest: out of time: a call may last 200ms"},
		"an abi that hangs":       {raw{ABI: endless()}.Module(), brief, "heddle_abi: guest: out of time"},
		"buffers that hang":       {raw{Buffers: endless()}.Module(), brief, "heddle_buffers: guest: out of time"},
		"_initialize that hangs":  {raw{More: []guesttest.Function{{Name: "_initialize", Locals: 6, Body: endless()}}}.Module(), brief, "_initialize: guest: out of time"},
		"a slow init for each event": {
			raw{Init: wat{}.With(wasm.OpDataDrop, 0).Times(30e6, 2, nil).I32(0), Change: func(m *wasm.Module) { m.HasCount = true }}.Module(), "limits: {timeout: 1ms, start: 60s}\n",
			"each instance of this module initialises itself while an event waits, since the module drops segments",
		},
		"a seed that hangs": {raw{Change: seed(endless())}.Module(), brief, "out of time: a call may last 3ms"},
	})
}

// seed adds a heddle_seed.
func seed(body wat) func(m *wasm.Module) {
	return func(m *wasm.Module) {
		m.Exports = append(m.Exports, wasm.Export{Name: hostapi.ExportSeed, Index: uint32(len(m.Funcs))})
		m.Funcs = append(m.Funcs, uint32(len(m.Types)))
		m.Types = append(m.Types, wasm.FuncType{Params: []wasm.ValType{wasm.I64}})
		m.Codes = append(m.Codes, wasm.Code{Body: append(body, byte(wasm.OpEnd))})
	}
}

// bomb is n blocks in each other with a loop in each.
func bomb(n int) (a wat) {
	for range n {
		a = append(a, byte(wasm.OpBlock), 0x40, byte(wasm.OpLoop), 0x40)
	}
	for range n {
		a = append(a, byte(wasm.OpEnd), byte(wasm.OpEnd))
	}
	return a.I32(0)
}

// TestHostileCuts: a module that is cut at any byte is refused in words.
func TestHostileCuts(t *testing.T) {
	r := newRaid(t)
	code := raw{Imports: []string{"now", "log"}, Text: "x", Start: wat{}.Op(wasm.OpNop)}.Module()
	all := map[string]refused{}
	for n := 0; n < len(code); n++ {
		all[fmt.Sprint(n, " of ", len(code))] = refused{module: code[:n], want: " "}
	}
	r.refuses(t, all)
}

// zipArchive is a zip with files as they are told, sizes that lie included.
func zipArchive(t *testing.T, add func(w *zip.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	if err := add(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHostileBundles: archives that are more than they seem.
func TestHostileBundles(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.limits.module=1MiB")
	type file struct {
		name string
		size int
	}
	text := "name: zip\nversion: '1'\nlimits: {module: 1MiB}\n" + binding("zip")
	with := func(files ...file) string {
		return zipArchive(t, func(w *zip.Writer) error {
			for name, b := range map[string][]byte{manifest.FileName: []byte(text), manifest.ModuleName: raw{}.Module()} {
				if slices.ContainsFunc(files, func(x file) bool { return x.name == name && x.size > 100 }) {
					continue // the other one
				}
				if f, err := w.Create(name); err != nil {
					return err
				} else if _, err := f.Write(b); err != nil {
					return err
				}
			}
			for _, x := range files {
				f, err := w.Create(x.name)
				if err != nil {
					return err
				}
				if _, err := f.Write(make([]byte, x.size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	many := make([]file, 3000)
	dirs, fixtures, large := make([]file, 3000), make([]file, 201), make([]file, 150)
	for i := range many {
		many[i].name, dirs[i].name = fmt.Sprint("f", i), fmt.Sprint("d", i, "/")
	}
	for i := range fixtures {
		fixtures[i].name = fmt.Sprintf("fixtures/%d.json", i)
	}
	for i := range large {
		large[i] = file{fmt.Sprintf("fixtures/%d.json", i), 1 << 20}
	}
	b := *r.acme
	r.peace(t, 20, func() {
		for name, c := range map[string]struct{ bundle, want string }{
			"a module that is a bomb":    {with(file{manifest.ModuleName, 64 << 20}), "plugin.wasm"},
			"a manifest that is a bomb":  {with(file{manifest.FileName, 64 << 20}), "heddle-plugin.yaml"},
			"a fixture that is a bomb":   {with(file{"fixtures/a.json", 64 << 20}), "fixtures/a.json has more than 1048576 bytes"},
			"fixtures that are a bomb":   {with(large...), "the fixtures have more than 33554432 bytes together"},
			"a path that climbs":         {with(file{"../../etc/passwd", 1}), `"../../etc/passwd" does not belong there`},
			"a path that climbs in one":  {with(file{"fixtures/../../x", 1}), "does not belong there"},
			"a path that begins above":   {with(file{"/etc/passwd", 1}), "does not belong there"},
			"a path of another system":   {with(file{`fixtures\..\..\x`, 1}), "does not belong there"},
			"a fixture named ..":         {with(file{"fixtures/..", 1}), `"fixtures/.." does not belong there`},
			"a folder in a folder":       {with(file{"fixtures/a/b.json", 1}), "does not belong there"},
			"many files":                 {with(many...), "3002 files; at most 1000"},
			"many folders":               {with(dirs...), "3002 files; at most 1000"},
			"many fixtures":              {with(fixtures...), "more than 200 fixtures"},
			"the module twice":           {with(file{manifest.ModuleName, 10}), "twice"},
			"half of it":                 {with()[:200], "not a zip archive"},
			"a directory that lies":      {lying(with()), "not a zip archive"},
			"the same bytes many times":  {overlapping(t, text, 900), `"plugin.wasm" is there twice`},
			"nothing in it":              {zipArchive(t, func(*zip.Writer) error { return nil }), "is missing"},
			"a manifest that nests":      {zipArchive(t, nested), "heddle-plugin.yaml"},
			"a manifest that multiplies": {zipArchive(t, laughs), "heddle-plugin.yaml"},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			s := b.put("", c.bundle)
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if s.status != http.StatusBadRequest && s.status != http.StatusRequestEntityTooLarge || !strings.Contains(s.Message, c.want) {
				t.Errorf("%s: %d %.300s, want %s", name, s.status, s.js, c.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 200<<20 || took > 10*time.Second {
				t.Errorf("%s: %d MiB were allocated in %v", name, n>>20, took)
			}
			t.Logf("%s: %d bytes, %v, %d MiB allocated, %.150s", name, len(c.bundle), took, (after.TotalAlloc-before.TotalAlloc)>>20, s.Message)
		}
	})
	r.calm(t)
}

// lying has the directory of an archive say that there are 65,535 files.
func lying(s string) string {
	b := []byte(s)
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint16(b[end+8:], 0xffff)
	binary.LittleEndian.PutUint16(b[end+10:], 0xffff)
	return string(b)
}

// overlapping is an archive whose directory has one file of a megabyte of zeros many
// times: a thousand bytes each.
func overlapping(t *testing.T, text string, times int) string {
	t.Helper()
	s := []byte(zipArchive(t, func(w *zip.Writer) error {
		f, err := w.Create(manifest.ModuleName)
		if err != nil {
			return err
		}
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		if f, err = w.Create(manifest.FileName); err != nil {
			return err
		}
		_, err = f.Write([]byte(text))
		return err
	}))
	le := binary.LittleEndian
	end := bytes.LastIndex(s, []byte("PK\x05\x06"))
	at := int(le.Uint32(s[end+16:]))
	first := bytes.Index(s[at+4:], []byte("PK\x01\x02")) + 4
	entry := bytes.Clone(s[at : at+first])
	out := append(bytes.Clone(s[:at]), bytes.Repeat(entry, times)...)
	size := len(out) - at + (end - at - first)
	out = append(append(out, s[at+first:end]...), s[end:]...)
	tail := out[len(out)-22:]
	le.PutUint16(tail[8:], uint16(times+1))
	le.PutUint16(tail[10:], uint16(times+1))
	le.PutUint32(tail[12:], uint32(size))
	return string(out)
}

func manifested(w *zip.Writer, text string) error {
	f, err := w.Create(manifest.FileName)
	if err != nil {
		return err
	}
	if _, err = f.Write([]byte(text)); err != nil {
		return err
	}
	f, err = w.Create(manifest.ModuleName)
	if err != nil {
		return err
	}
	_, err = f.Write(raw{}.Module())
	return err
}

// nested is a manifest with lists in lists.
func nested(w *zip.Writer) error {
	return manifested(w, "name: x\nversion: '1'\nbindings: "+strings.Repeat("[", 50000)+strings.Repeat("]", 50000)+"\n")
}

// laughs is a manifest whose aliases make a billion words of a few.
func laughs(w *zip.Writer) error {
	text := "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 9 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return manifested(w, "name: x\nversion: '1'\n"+text+"bindings: *a9\n")
}
