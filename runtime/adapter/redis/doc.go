// Package redis keeps in Redis what nodes of a cluster share and may lose: records of
// sessions, and who is alive. Redis is asked for speed and never for the truth: what it
// forgets costs clients a new session, or the nodes a second of looking for each other,
// and no event that was acknowledged.
//
// Every call has a timeout. Connections are rueidis', which pipelines what comes at the
// same time, follows Sentinel and Cluster, and reconnects by itself. Nodes.Run owns the
// only goroutine.
package redis
