package cell

// Swapped is what came of a swap in a store that bounds what a tenant keeps.
type Swapped struct {
	Made bool // all was as the caller thought, and so the change is made
	Full bool // it was, but the tenant would have kept more than it may

	Bytes, Keys int64 // what the tenant keeps now, in all of its tables: bytes of keys and values
}
