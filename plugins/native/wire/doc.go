// Package wire is the protocol between a node and its native plugins: Go made of
// native.proto, and what both sides know beside it.
//
// # A conversation
//
// The node starts the program with the environment that its configuration names, no
// standard input, and what github.com/hashicorp/go-plugin needs: cookie, protocol
// versions, directory of the socket, the node's certificate. The program answers by
// go-plugin's line on standard output and serves gRPC with mutual TLS: go-plugin's
// own services, the health service, and one service of native.proto.
//
// The node opens that service's one stream, and the program sends the stream's
// headers at once: then it is ready. Batches come as long as the stream is open. Each
// item has a number that was never used before in the process; an answer names it. An
// answer to a number that is not open, or without one of the words it must have, ends
// the conversation: the node stops the program and starts it again.
//
// When the node stops, it closes its side of the stream; the program answers what it
// has, closes the other, and exits when go-plugin's controller says so. It must exit,
// too, when a read of the descriptor that LifelineEnv names ends: the node is gone.
// Signals of the terminal or the service manager are none of its business.
//
// # Making the code
//
//	go generate -tags protoc ./plugins/native/wire
//
// takes protoc 3.21.12 (Debian 12: protobuf-compiler), protoc-gen-go of the
// google.golang.org/protobuf in go.mod and protoc-gen-go-grpc v1.6.2; another protoc
// changes a comment alone. A test compares where protoc is installed.
package wire
