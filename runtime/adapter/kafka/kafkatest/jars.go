//go:build unix

package kafkatest

import (
	"context"
	_ "embed"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// pom names the published jars of the brokers.
//
//go:embed pom.xml
var pom []byte

// fetching is how long Maven may take, the first time.
const fetching = 5 * time.Minute

// jars is the class path of the brokers. They are fetched once for each user.
func jars(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "heddle-test", fmt.Sprintf("kafka-%08x", crc32.ChecksumIEEE(pom)))
	if _, err := os.Stat(dir); err != nil {
		if err := fetch(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*")
}

// fetch copies the jars into a folder, which is there with all of them or not at all.
func fetch(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "part-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // nothing is left of it if all went well
	file := filepath.Join(part, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetching)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(part, "jars"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch the jars of Kafka: %w: %s", err, out)
	}
	err = os.Rename(filepath.Join(part, "jars"), dir)
	if _, there := os.Stat(dir); there == nil {
		return nil // somebody may have been first
	}
	return err
}
