// Package redis keeps in Redis what nodes of a cluster share and may lose: records of
// sessions, who is alive, plugins' cells, what was taken of budgets; and it carries messages
// between nodes. Redis is asked for speed and never for the truth: what it forgets costs
// clients a new session, or the nodes a second of looking for each other, and no event that
// was acknowledged.
//
// Every call has a timeout, and fails with a *fault.Error that says in one line what is to be
// done. Connections are rueidis', which pipelines what comes at the same time, follows
// Sentinel and Cluster, and reconnects by itself; subscriptions have one connection to each
// Redis, of their own. What changes several keys at once is a script, whose keys have one
// slot. Nodes.Run and Bus.Run own the goroutines.
package redis
