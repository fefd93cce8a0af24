// Package fair is a queue of work for many tenants, of which none can keep the others'
// waiting: whoever takes gets one piece of each tenant's in turn; and of what may wait,
// and of what is under way, one tenant has a share, and so have together all heavy
// tenants, which have lately taken more than their part. Several that fill it keep no other one out: what it brings takes the
// place of the oldest of whoever has most (drop_oldest), and one worker is kept for
// tenants that have nothing under way. What is refused has dropped nothing. Size is how
// much an event or a request holds that waits.
//
// It owns no goroutines.
package fair
