// Package history judges a run of a cluster by what its clients wrote down while it was
// under way, and by nothing else: neither what nodes say of themselves nor what is in their
// stores.
//
// A run ends in silence: all faults are over, nothing is under way, and every session that
// is not Gone has had the time to receive what there is. Then Check finds what does not
// agree with the promises of the project:
//
//	P1  an event that was acked stands in history at its place, and was delivered to every
//	    session that was there, or came back
//	P2  all see one order: at a position there is one event for everybody, offsets have no
//	    gap, and what a connection sends to a room keeps its order
//	P3  an id is stored once, however often it was sent
//	P4  a resume brings back the session's rooms and all behind its positions, or says why not
//	P5  a page of history that is asked for after an ack has what was acked
//	P6  nothing is shown after its time to live
//	P7  some time after a node's death, presence, devices and typing are right
//
// What a violation says has the records in it that prove it.
//
// Rooms of a run are not deleted, keep everything, and their members do not change.
package history
