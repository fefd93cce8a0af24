package heddle

import "math/rand/v2"

// dice is the source of Rand.
var dice struct {
	source rand.PCG
	rand   *rand.Rand // nil: to be seeded before the next use
	seed   uint64     // the node's; 0: there was none
}

// reseed is called of each instance that began from the image of another one. It does
// as little as can be: it runs after every batch of a stateless plugin.
func reseed(seed uint64) { dice.seed, dice.rand = seed, nil }

// Rand is a source of random numbers that differ from instance to instance; for what
// nobody may guess there is Random. It must not be kept over calls.
//
// Go's own math/rand, and the seeds of maps, are drawn when Go's runtime starts. An
// instance that begins from an image has those of the image, and nothing outside of
// the runtime can change them: all instances of a plugin on a node draw the same
// numbers from math/rand. crypto/rand asks the node every time, and is as good as
// Random.
func Rand() *rand.Rand {
	if dice.rand == nil {
		if dice.seed == 0 {
			dice.seed = rand.Uint64() // the first instance: what the runtime drew is fresh
		}
		dice.source.Seed(dice.seed, ^dice.seed)
		dice.rand = rand.New(&dice.source)
	}
	return dice.rand
}
