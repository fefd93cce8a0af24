// Package proc reads what the kernel, and Go servers, say about processes: CPU
// time, memory, and what the kernel keeps for sockets. It owns no goroutines.
package proc
