package meter

import (
	"fmt"

	"github.com/heddle-rt/heddle/runtime/config"
)

// effort is what wazero's compiler has to do for one function, as far as it grows
// faster than the function does. Without a limit on that, 60 KB of nested loops
// take it seven seconds, and 90 KB of loops that set a thousand locals take it
// gigabytes.
type effort struct {
	blocks   int // basic blocks
	phis     int // values that come from several sides
	accesses int // of memory: in each block the compiler knows which addresses were checked
	reloads  int // of mutable globals: all, behind each call
	locals   int // it looks for in each block, if the function is made so
}

// Basic blocks that the compiler makes for each.
const (
	blocksBlock  = 2
	blocksLoop   = 2
	blocksIf     = 3
	blocksBranch = 2 // and for each label of a br_table
	blocksCharge = 5
)

// bytes is about how much memory the compiler allocates. It stands for time too:
// passes that are quadratic in the number of blocks, or of locals, take a second
// where it says 256 MiB or less. Measured on amd64 with functions like those in the
// tests of hostile modules; code as compilers write it takes a fifth of that.
func (e *effort) bytes() int {
	return e.blocks*(e.blocks/2+e.locals*(64+e.locals/8)+20*e.accesses) + 1200*e.phis + 64*e.reloads
}

// wholeShare is how many functions of the largest permitted effort a module may
// consist of.
const wholeShare = 24

// compilable holds a function's effort to its limit, and adds it to the module's.
func (c *Config) compilable(e *effort, sum *int) error {

	bytes := e.bytes()
	if *sum += bytes; c.Compile <= 0 {
		return nil
	}
	if bytes > int(c.Compile) {
		return fmt.Errorf("takes about %s of memory to compile (%d basic blocks, %d local variables, %d joined values, %d memory accesses, "+
			"%d reloads of globals), the limit is %s: split the function, or build with optimisation", config.Size(bytes>>20<<20), e.blocks, e.locals, e.phis, e.accesses, e.reloads, c.Compile)
	}
	if *sum/wholeShare > int(c.Compile) {
		return fmt.Errorf("and the functions before it take too long to compile: leave out libraries, or split the largest functions")
	}
	return nil
}
