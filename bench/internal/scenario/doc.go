// Package scenario measures: each scenario puts one kind of load on one server and
// returns figures. Scenarios are the same for every driver. They block until
// they are done; each goroutine that one starts has ended when it returns.
package scenario
