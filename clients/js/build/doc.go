// Command build makes the JavaScript that the repository carries: the client's
// bundle and that of the chat example, which a Go handler embeds. It needs no
// Node. Run it from anywhere in the repository after a change of a .ts file:
//
//	go run ./clients/js/build
//
// With -check it writes nothing, and fails if a committed file is not what its
// sources give. It starts no goroutine of its own.
package main

//go:generate go run .
