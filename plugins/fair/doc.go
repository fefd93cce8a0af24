// Package fair is a queue of work for many tenants, of which none can keep the others'
// waiting: whoever takes gets one piece of each tenant's in turn; and of what may wait,
// and of what is under way, one tenant has a share, and so have together all tenants
// that take too much.
//
// It owns no goroutines.
package fair
