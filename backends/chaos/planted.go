package chaos

// Mistake is one that can be built into a node (runtime/planted), with the faults that show
// it.
type Mistake struct {
	Name  string
	Kinds []Kind
}

// Mistakes are all of them.
func Mistakes() []Mistake {
	takeOver := []Kind{Kill, Pause, CutRedis}
	return []Mistake{
		{"ack-uncommitted", takeOver},
		{"term-unseen", []Kind{Pause, CutRedis}},
		{"heads-forgotten", []Kind{KillWorker, KillWorker, Kill, Pause}}, // while the worker keeps up, MongoDB has the heads
		{"keys-forgotten", takeOver},
		{"void-counted", []Kind{Pause, CutRedis}},
		{"gap-ignored", []Kind{KillRedis, CutRedis}},
		{"beat-lost", []Kind{KillRedis, CutRedis}},
		{"stale-reads", []Kind{CutRedis}},
		{"line-broken", []Kind{KillRedis, CutRedis, PauseRedis}},
		{"resume-late", []Kind{DropClients}},
		{"expired-shown", []Kind{Kill, DropClients}},
		{"ghosts-stay", []Kind{Kill}},
	}
}
