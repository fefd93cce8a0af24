package guest

import (
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/heddle-rt/heddle/hostapi"
)

// exportTypes are those of what a guest exports for the host to call.
func exportTypes() map[string][2][]api.ValueType {
	i32, i64 := []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}
	return map[string][2][]api.ValueType{
		exportInitialize:      {},
		hostapi.ExportABI:     {nil, i32},
		hostapi.ExportBuffers: {nil, i64},
		hostapi.ExportInit:    {i32, i32},
		hostapi.ExportBatch:   {[]api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, i32},
		hostapi.ExportIdle:    {},
		hostapi.ExportSeed:    {i64, nil},
	}
}

// callable refuses a module that exports a function of these names with other
// parameters or results than the host calls it with.
func callable(exported map[string]api.FunctionDefinition) error {
	for name, want := range exportTypes() {
		f := exported[name]
		if f == nil {
			continue // whoever needs it says so
		}
		if !slices.Equal(f.ParamTypes(), want[0]) || !slices.Equal(f.ResultTypes(), want[1]) {
			return fmt.Errorf("the module exports %s as a function from %s to %s; the host calls one from %s to %s",
				name, inWords(f.ParamTypes()), inWords(f.ResultTypes()), inWords(want[0]), inWords(want[1]))
		}
	}
	return nil
}

func inWords(types []api.ValueType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = api.ValueTypeName(t)
	}
	return fmt.Sprint(names)
}
