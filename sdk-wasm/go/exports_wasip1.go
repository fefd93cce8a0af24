package heddle

// What the node calls. Go's runtime exports memory and _initialize, which runs the
// init functions; main is never called.

// version of the contract that this SDK speaks.
const version = 1

//go:wasmexport heddle_abi
func exportABI() int32 { return version }

//go:wasmexport heddle_buffers
func exportBuffers() int64 {
	input, output := self.allocate()
	return int64(uint64(uintptr(input)) | uint64(uintptr(output))<<32)
}

//go:wasmexport heddle_init
func exportInit(size int32) int32 { return int32(self.initialise(int(size))) }

//go:wasmexport heddle_batch
func exportBatch(records, _ int32) int32 { return self.batch(int(records)) }

//go:wasmexport heddle_idle
func exportIdle() { work.idle() }

//go:wasmexport heddle_seed
func exportSeed(seed int64) { reseed(uint64(seed)) }
