package guest

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// entry is a function of the guest's that the host calls again and again.
type entry struct {
	name  string
	f     api.Function  // nil if the guest has none
	stack reflect.Value // a []byte of wazero's; not valid if that keeps it elsewhere
}

// maxStack is how much stack an entry keeps from one call to the next, in bytes.
const maxStack = 256 << 10

// entrance finds a function.
//
// wazero keeps the stack of a function for as long as that is referred to, as large as
// it has ever been, and does not tell how large that is. The depth cannot stand for it:
// it is back at 0 when the call ends, the host does not see it on the way if nothing
// ticks there, and it is an estimate, which the stack exceeds by far. So the length of
// wazero's own slice is looked at, which takes a few nanoseconds; TestStackIsGivenBack
// fails if wazero calls it otherwise.
func entrance(m api.Module, name string) entry {
	e := entry{name: name, f: m.ExportedFunction(name)}
	if v := reflect.ValueOf(e.f); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if s := v.Elem().FieldByName("stack"); s.IsValid() && s.Kind() == reflect.Slice {
			e.stack = s
		}
	}
	return e
}

// kept is how much stack it has, in bytes; 0 if that is not known.
func (e *entry) kept() int {
	if !e.stack.IsValid() {
		return 0
	}
	return e.stack.Len() * int(e.stack.Type().Elem().Size())
}

// enter calls an entry, and gives its stack back if that has grown large.
func (i *Instance) enter(e *entry, params ...uint64) (uint64, error) {
	v, err := i.run(e.f, params...)
	if e.kept() > maxStack && err == nil {
		*e = entrance(i.module, e.name)
	}
	return v, err
}
