package sequence

// PartitionOf says which of n partitions a room belongs to: FNV-1a, 64 bits, over
// tenant, a zero byte and room. A log may hold a room's records in this partition
// alone, so that another hash, or another n, would lose sight of them: neither
// may change for the life of a log.
func PartitionOf(tenant, room string, n int) int {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(tenant) {
		h = (h ^ uint64(tenant[i])) * prime
	}
	h *= prime
	for i := range len(room) {
		h = (h ^ uint64(room[i])) * prime
	}
	// The low bits of FNV-1a depend on the low bits of the input alone.
	return int((h ^ h>>32) % uint64(n))
}
