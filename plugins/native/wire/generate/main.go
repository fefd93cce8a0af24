// Command generate makes the Go code of native.proto.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Compilers of the two files; protoc-gen-go comes from the module that go.mod names.
const (
	genGo   = "google.golang.org/protobuf/cmd/protoc-gen-go"
	genGRPC = "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"
)

// source is below the module's root: the name is registered for the whole process.
const source = "plugins/native/wire/native.proto"

func main() {
	root := flag.String("root", "../../..", "the module's root")
	out := flag.String("out", "../../..", "where the files go, in the folders of their package")
	flag.Parse()
	if err := generate(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(root, out string) error {
	bin, err := os.MkdirTemp("", "protoc-gen-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	if err := run(nil, "go", "build", "-o", filepath.Join(bin, "protoc-gen-go"), genGo); err != nil {
		return err
	}
	if err := run([]string{"GOBIN=" + bin}, "go", "install", genGRPC); err != nil { // of another module: no build
		return err
	}
	return run(nil, "protoc", "-I", root,
		"--plugin=protoc-gen-go="+filepath.Join(bin, "protoc-gen-go"), "--plugin=protoc-gen-go-grpc="+filepath.Join(bin, "protoc-gen-go-grpc"),
		"--go_out="+out, "--go_opt=paths=source_relative", "--go-grpc_out="+out, "--go-grpc_opt=paths=source_relative", source)
}

func run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return nil
}
