package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is what goes wrong.
type Kind string

// Kinds.
const (
	Kill        Kind = "kill"         // a node gets SIGKILL, and is started again
	Pause       Kind = "pause"        // a node stands still
	KillWorker  Kind = "kill-worker"  // the worker gets SIGKILL, and is started again
	CutRedis    Kind = "cut-redis"    // a node does not reach Redis
	CutKafka    Kind = "cut-kafka"    // a node does not reach the brokers
	CutAll      Kind = "cut-all"      // a node reaches nothing, but clients reach it
	KillRedis   Kind = "kill-redis"   // Redis ends, and comes back empty
	PauseRedis  Kind = "pause-redis"  // Redis stands still
	FlushRedis  Kind = "flush-redis"  // Redis forgets everything
	BehindRedis Kind = "behind-redis" // a replica that has lagged takes the place of Redis
	LeaveKafka  Kind = "leave-kafka"  // a broker leaves, and comes back
	SlowKafka   Kind = "slow-kafka"   // brokers take their time
	RefuseKafka Kind = "refuse-kafka" // brokers refuse events, or say so and keep them
	StopMongo   Kind = "stop-mongo"   // MongoDB ends, and comes back
	DropClients Kind = "drop-clients" // clients of a node lose their connections
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{
		Kill, Pause, KillWorker, CutRedis, CutKafka, CutAll, KillRedis, PauseRedis, FlushRedis, BehindRedis, LeaveKafka, SlowKafka, RefuseKafka, StopMongo, DropClients,
	}
}

// networked reports whether it wants the nodes' connections in this process.
func (k Kind) networked() bool {
	return k == CutRedis || k == CutKafka || k == CutAll || k == LeaveKafka
}

// ParseKinds reads a list with commas; "" is all.
func ParseKinds(list string) (kinds []Kind, err error) {
	if list == "" {
		return Kinds(), nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(Kinds(), Kind(name)) {
			return nil, fmt.Errorf("there is no fault %q; there are %v", name, Kinds())
		}
		kinds = append(kinds, Kind(name))
	}
	return kinds, nil
}

// Fault is one that is planned.
type Fault struct {
	At, Lasts time.Duration
	Kind      Kind
	Node      int // which one, where there are several
}

func (f Fault) String() string {
	return fmt.Sprintf("%6.1fs for %4.1fs %s (%d)", f.At.Seconds(), f.Lasts.Seconds(), f.Kind, f.Node)
}

// NewPlan draws faults for a time. Now and then there are two at once.
func NewPlan(seed uint64, d time.Duration, kinds []Kind, nodes int) (plan []Fault) {
	const calm = 2 * time.Second // at the beginning
	if len(kinds) == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	within := func(most time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(most))) }
	for at := calm; ; {
		f := Fault{At: at, Lasts: 300*time.Millisecond + within(5700*time.Millisecond), Kind: kinds[rng.IntN(len(kinds))], Node: rng.IntN(nodes)}
		if f.At+f.Lasts > d {
			return plan
		}
		plan = append(plan, f)
		at += 500*time.Millisecond + within(3*time.Second)
		if rng.IntN(4) > 0 {
			at += f.Lasts
		}
	}
}
