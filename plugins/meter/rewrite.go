package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// The module that the rewriter imports from, and names of what it imports and
// exports. No original can have them.
const (
	ImportModule   = prefix + "meter"
	ImportTick     = "tick"     // [] -> [i32]
	ImportOverflow = "overflow" // [] -> []
	ExportSlice    = prefix + "slice"
	ExportDepth    = prefix + "depth"
	exportGlobal   = prefix + "g" // and the global's index
)

// Slice is how much the host does well to give at a time. A unit is at most about a
// nanosecond, and less for code as compilers write it: so a tick comes each 50
// microseconds or sooner. A tick costs as much as a hundred instructions or more; with
// a fifth of this slice, Go guests are a tenth slower.
const Slice = 50000

// Module is a module that has been rewritten.
type Module struct {
	Code []byte // in the binary format
	Info Info

	namesData bool // an instruction names a data segment
}

// Rewrite meters a module: see the package comment for what that is, and why it
// holds. It is a function of its arguments; memory and time are linear in the
// module's size, as far as Config.Validate's are. An error that the module's
// developer can do something about is a *wasm.Error.
func Rewrite(module []byte, cfg Config) (*Module, error) {
	return rewrite(module, &cfg, newWeights())
}

func rewrite(module []byte, cfg *Config, w *weights) (*Module, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Module > 0 && len(module) > int(cfg.Module) {
		return nil, refuse("", "has %d bytes, the limit is %d (%s): strip debug information (-ldflags=\"-s -w\", --strip-all), "+
			"or leave out libraries", len(module), int(cfg.Module), cfg.Module)
	}
	m, err := wasm.Parse(module, cfg.limits())
	if err != nil {
		return nil, err
	}
	if err := admit(m, cfg); err != nil {
		return nil, err
	}
	r := &rewriter{m: m, cfg: cfg, weights: w, types: map[string]uint32{}}
	if err := r.scan(); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	info := r.info()
	if err := r.bodies(); err != nil {
		return nil, err
	}
	r.surroundings()
	return &Module{
		Code: m.Append(make([]byte, 0, len(module)+len(module)/2)), Info: info, namesData: r.uses.help[helpInit] || r.uses.dropsSegments,
	}, nil
}

// rewriter changes one module in place.
type rewriter struct {
	m       *wasm.Module
	cfg     *Config
	weights *weights
	mutable int // globals of the original that are
	traits  []traits
	uses    uses
	added   added
	types   map[string]uint32 // of functions, that were looked up or added
}

// scan reads all bodies, and changes nothing.
func (r *rewriter) scan() error {
	for i := range r.m.Globals {
		if r.m.Globals[i].Mutable {
			r.mutable++
		}
	}
	s := &scanner{cfg: r.cfg, mutable: r.mutable}
	s.m, s.imported = r.m, r.m.ImportedFuncs()
	s.uses.initSegments = make([]bool, len(r.m.Datas))
	r.traits = make([]traits, len(r.m.Codes))
	for i := range r.m.Codes {
		t, err := s.scan(i)
		if err != nil {
			return err
		}
		r.traits[i] = t
	}
	r.uses = s.uses
	return nil
}

// validate hands the original, as it was understood, to who knows what is valid.
func (r *rewriter) validate() error {
	plain := *r.m
	plain.Names = nil
	if err := r.cfg.Validate(plain.Append(nil)); err != nil {
		return &wasm.Error{Func: wasm.NoFunc, Offset: -1, Msg: "is not valid: " + err.Error()}
	}
	return nil
}

// bodies rewrites the code of all functions.
func (r *rewriter) bodies() error {
	r.place()
	e := r.emitter()
	sum := 0
	for i := range r.m.Codes {
		code, err := e.emit(i, &r.traits[i])
		if err == nil {
			e.effort.blocks += blocksCharge * e.paid
			e.effort.reloads = (r.mutable + 2) * (e.calls + e.paid)
			err = r.cfg.compilable(&e.effort, &sum)
		}
		if err != nil {
			s := scanner{walker: walker{m: r.m, imported: e.imported}}
			return s.located(i, err, -1)
		}
		r.m.Codes[i] = code
	}
	return nil
}

// place gives out the indices of what is added. Globals and helpers come last;
// the two imports come behind the original's, and move its functions up.
func (r *rewriter) place() {
	d := &r.added
	d.imported = uint32(r.m.ImportedFuncs())
	d.tick, d.overflow = d.imported, d.imported+1
	d.slice = uint32(len(r.m.Globals))
	d.depth = d.slice + 1
	next := d.function(d.imported + uint32(len(r.m.Funcs)))
	d.initHelper = make([]uint32, len(r.m.Datas))
	for kind := range helpers {
		if !r.uses.help[kind] {
			continue
		}
		if kind != helpInit {
			d.helper[kind] = next
			next++
			continue
		}
		for segment, used := range r.uses.initSegments {
			if used {
				d.initHelper[segment] = next
				next++
			}
		}
	}
}

// resultType is the type of a block without parameters and with these results.
func (r *rewriter) resultType(results []wasm.ValType) wasm.BlockType {
	if len(results) <= 1 {
		return wasm.ResultType(results)
	}
	return wasm.BlockType(r.funcType(wasm.FuncType{Results: results}))
}

// funcType is the index of a function type, which is added at the first use.
func (r *rewriter) funcType(t wasm.FuncType) uint32 {
	key := make([]byte, 0, len(t.Params)+len(t.Results)+1)
	for _, p := range t.Params {
		key = append(key, byte(p))
	}
	key = append(key, 0)
	for _, p := range t.Results {
		key = append(key, byte(p))
	}
	i, ok := r.types[string(key)]
	if !ok {
		i = uint32(len(r.m.Types))
		r.m.Types = append(r.m.Types, t)
		r.types[string(key)] = i
	}
	return i
}
