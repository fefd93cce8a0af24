package cluster

// Owner is which of the nodes a partition falls to, "" if there are none: the one with
// the highest score (rendezvous hashing). When a node comes or goes, only partitions
// move that it gets or had. The order of the nodes does not matter.
func Owner(partition int, nodes []string) (owner string) {
	var best uint64
	for _, n := range nodes {
		if s := score(partition, n); owner == "" || s > best || s == best && n < owner {
			owner, best = n, s
		}
	}
	return owner
}

// score is FNV-1a over the node's name and the partition, stirred: its high bits alone
// depend too little on the last bytes. It must be the same in all versions that may run
// beside each other.
func score(partition int, node string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(node) {
		h = (h ^ uint64(node[i])) * prime
	}
	for shift := 0; shift < 32; shift += 8 {
		h = (h ^ uint64(partition>>shift)&0xff) * prime
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
