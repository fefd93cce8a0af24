// Package pool runs the events of one program on a few instances of it. It knows
// what happens when a guest fails, and nothing of where events come from.
//
// # Batches without a goroutine
//
// A pool has lanes, each with one instance. Who brings a job to a lane that is free
// runs it there itself, on its own goroutine, together with what else waits there
// already; who finds it taken waits until another has done the job, or until it is
// the first in line and the lane is free: then it leads. So nothing waits for a batch
// to fill, an event that comes alone is run without a switch of goroutines, and under
// load up to hostapi.MaxBatch events share one call.
//
// Jobs with the same key go to the same lane, in their order. That is what a keyed
// plugin rests on; for others the key is the user, and spreads.
//
// # Failure
//
// A guest that traps has had no effect: nothing of its output is used, what it has
// written to the store is dropped with its overlay, and its instance is thrown away.
// A batch that fails is run again in halves on fresh instances, until the event that
// is the cause is alone; an event alone is tried once more. So a poison event costs
// its neighbours a second run, and no more. A Breaker stops asking a plugin that
// fails on and on, also in the midst of halving; and no event is run, or waits, whose
// context is over. A call that is stale again and again is run while no other commits.
//
// # Bounds
//
// Lanes are as many as half of the processors, the jobs that wait in a lane at most
// Config.Queue, and a tenant's pools together run on as many goroutines as Slots
// has; those of all tenants that use too much together on as many as a Crowd has. The
// package owns no goroutine: whoever keeps pools calls Idle now and then.
package pool
