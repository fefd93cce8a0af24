// Package clienttest holds a node to what the client promises: the same cases run
// against the fake node of heddletest and against a real one. It owns no
// goroutines between cases.
package clienttest
