// Package limit keeps everybody within their budget, so that nobody can slow down
// others. Its stage stands behind authenticate and before anything that costs, and
// takes for each event a token from the connection's bucket and from those that
// connections share: of the action and user, the user, the address, and the tenant
// (Stage). Who misbehaves is first slowed down, then closed, then turned away for a
// while (Suspects). A tenant has so many connections, rooms and bytes (Quotas); of the
// bytes a second stage, behind the handlers, decides by what will be stored (Space).
// All of it can be changed while events run (Stage.Reload). What is remembered of
// users and addresses is bounded.
//
// In a cluster the budgets of users and tenants are those of all nodes together (Pool).
// Pool.Run owns the only goroutine.
package limit
