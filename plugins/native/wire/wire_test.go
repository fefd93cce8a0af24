package wire_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// TestGeneratedCode holds the generated files to native.proto.
func TestGeneratedCode(t *testing.T) {
	version, err := exec.Command("protoc", "--version").Output()
	if err != nil || strings.TrimSpace(string(version)) != "libprotoc 3.21.12" {
		t.Skipf("needs protoc 3.21.12 (%q, %v)", version, err)
	}
	out := t.TempDir()
	if text, err := exec.Command("go", "run", "./generate", "-out", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, name := range []string{"native.pb.go", "native_grpc.pb.go"} {
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(out, "plugins", "native", "wire", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(want) {
			t.Errorf("%s is not what native.proto makes: go generate -tags protoc ./plugins/native/wire", name)
		}
	}
}

func TestServicesHaveOneStream(t *testing.T) {
	services := wire.File_plugins_native_wire_native_proto.Services()
	if services.Len() != 4 {
		t.Fatalf("%d services", services.Len())
	}
	for i := range services.Len() {
		s := services.Get(i)
		if s.Methods().Len() != 1 || !s.Methods().Get(0).IsStreamingClient() || !s.Methods().Get(0).IsStreamingServer() {
			t.Errorf("%s has not one stream of both sides", s.FullName())
		}
	}
}
