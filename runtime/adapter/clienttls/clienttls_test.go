package clienttls

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg   Config
		there bool
		want  string // in the error
	}{
		"none":             {Config{CA: file}, false, ""},
		"the system's":     {Config{Enabled: true}, true, ""},
		"no such file":     {Config{Enabled: true, CA: file + "x"}, false, "tls.ca"},
		"no certificate":   {Config{Enabled: true, CA: file}, false, "no certificate in"},
		"a key that lacks": {Config{Enabled: true, Cert: file}, false, "tls.cert"},
	} {
		got, err := c.cfg.TLS()
		if (got != nil) != c.there || (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
