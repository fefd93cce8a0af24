package redis

import "strconv"

const slots = 16384 // of a Cluster

// tags are names, one for each of n partitions, whose slots lie at equal distances: so
// the partitions are spread evenly over however many shards a Cluster has, as long as
// each has a range of slots. They depend on n alone.
func tags(n int) []string {
	out := make([]string, n)
	for i := range out {
		want := (2*i + 1) * slots / (2 * n)
		best := slots
		for try := range 4096 { // one of four slots has a name among these
			tag := strconv.Itoa(try)
			if off := max(slot(tag)-want, want-slot(tag)); off < best {
				best, out[i] = off, tag
			}
			if best <= slots/(8*n) || best == 0 {
				break
			}
		}
	}
	return out
}

// slot is where a Cluster has the keys with a tag: CRC-16 as in XMODEM, modulo their
// number.
func slot(tag string) int {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
