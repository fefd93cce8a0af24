// Package pipeline runs an event through the stages of the route, in one linear
// loop. It knows stages only by their interface; the order stands in
// runtime/app/route.go. Run executes on the goroutine of the connection; after a
// stage has handed an event over, Continue executes on the goroutine that
// finished the work.
package pipeline
