// Package observe counts and times what the node does, and shows it: metrics
// for Prometheus, logs, health, profiles. It stands beside the route and imports
// nothing of the project, so that any package may use its counters.
//
// Packages keep a Counter or a Histogram, or numbers of their own; app enters
// them in a Registry, by With for the first and the Func methods for the others.
//
// The only goroutines are Admin's: the server's, which Run starts and waits for,
// and one for each check that /readyz is asking.
package observe
