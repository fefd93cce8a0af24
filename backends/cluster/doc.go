// Package cluster runs a cluster of Heddle on one machine, for developers and tests: nodes
// and a worker as processes of the real binary, redis-server, and haproxy in front of the
// nodes; in this process Kafka (kfake) and MongoDB (FerretDB). Each can be killed, paused,
// stopped and started again by itself.
//
// Start owns everything: it ends with Close, and on Linux the processes end with this one.
package cluster
