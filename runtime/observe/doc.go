// Package observe counts and times what the node does, and shows it: metrics
// for Prometheus, logs, health, profiles. It imports nothing of the project, so
// that any package may use its counters.
package observe
