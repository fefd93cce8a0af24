// Package deadletter keeps events that failed by a fault of the node's own, for
// operators to look at and to run again. The last stage of the route tells it of
// every refusal (Event); what it keeps is bounded for each tenant, and served from
// memory.
//
// It is written behind, as rows of the tenant's room root:dead, so that it outlives
// the process: by Run, one record after the other, through the committer and not
// through the route, so that a store that fails makes no more dead letters. While it
// fails, letters are in memory alone.
//
// The package's one goroutine is its Run.
package deadletter
