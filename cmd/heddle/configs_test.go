package main_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const configs = "../../configs"

var (
	variable    = regexp.MustCompile(`\$\{(\w+)\}`)
	switchedOff = regexp.MustCompile(`(?m)^( *)#(\S|  )`)
)

// dummies is the environment with something for every variable of a text.
func dummies(text string) []string {
	env := os.Environ()
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		env = append(env, m[1]+"="+strings.Repeat("dummy-", 8)+m[1])
	}
	return env
}

// certificate writes a pair of files such as the configurations name.
func certificate(t *testing.T, dir string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"fullchain.pem": {Type: "CERTIFICATE", Bytes: cert}, "privkey.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func configFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(configs, "*.yaml"))
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "compose.yaml" })
	if err != nil || len(files) == 0 {
		t.Fatalf("no configuration in %s: %v", configs, err)
	}
	return files
}

// TestConfigsAreValid checks the files as they are, and with all that is
// commented out switched on.
func TestConfigsAreValid(t *testing.T) {
	bin := binary(t)
	for _, file := range configFiles(t) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		certificate(t, dir)
		all, text := filepath.Join(dir, filepath.Base(file)), switchedOff.ReplaceAllString(string(raw), "$1$2")
		if err := os.WriteFile(all, []byte(strings.ReplaceAll(text, "/etc/heddle/tls", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{"as it is": file, "all switched on": all} {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) {
				cmd := exec.Command(bin, "config", "check", "--config", path)
				cmd.Env = dummies(string(raw))
				if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "warning") {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// TestConfigsServe starts a node with each file, on other addresses and data. That of a
// cluster is started where there is one, in backends/cluster.
func TestConfigsServe(t *testing.T) {
	for _, file := range configFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(file) == "cluster.yaml" {
				t.SkipNow()
			}
			for _, pair := range dummies(string(raw))[len(os.Environ()):] {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			serve(t, file, filepath.Join(t.TempDir(), "data"), "socket.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "log.format=text", "storage.min_free=0")
		})
	}
}

// TestConfigsReadme: every file has its line, and the commands work.
func TestConfigsReadme(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(configs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range configFiles(t) {
		if !strings.Contains(string(raw), "| `"+filepath.Base(file)+"` |") {
			t.Errorf("%s has no line in the README", file)
		}
	}
	ran := 0
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "heddle" {
			continue
		}
		ran++
		cmd := exec.Command(binary(t), words[1:]...)
		cmd.Dir = "../.."
		cmd.Env = slices.Concat(os.Environ(), []string{"ACME_SECRET=" + secret})
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", strings.TrimSpace(line), err, out)
		}
	}
	if ran == 0 {
		t.Error("the README has no commands")
	}
}
