// Package celltest is for tests of what keeps cells: Suite holds every cell.Store to the
// same contract, and Store is one in memory that fails, waits and is damaged when a test
// wants it.
package celltest
