// Package chaos runs a cluster of real processes under faults that are drawn from a seed,
// with clients that send, receive, read, and come back, and has what they wrote down
// judged (package history).
//
// A run is a plan (NewPlan) of when what goes wrong, and clients that do what their own
// random numbers say; the same seed gives the same of both, but not the same run: the
// scheduler, the network and the disks have their part. When the plan is over all that was
// broken is whole again, the clients send what was not acked, wait until they have
// received what there is, and read the whole history of all rooms from each node.
//
// Where network namespaces are permitted (as root, on Linux) each node is in one of its
// own, and all that it says to others goes through this process (network): so it can be
// cut off from any of them. Elsewhere the faults that need this are left out, which Run
// says. The nodes' clocks cannot be skewed: they are static programs, which ask the kernel
// for the time, and the kernel has no other one for some processes.
//
// Run owns all goroutines and processes, and returns when they have ended.
package chaos
