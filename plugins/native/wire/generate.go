//go:build protoc

package wire

//go:generate go run ./generate
