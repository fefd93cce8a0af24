package native_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
)

var fence = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// readme is the configuration in an example's README, with some values of this machine.
func readme(t *testing.T, example string, values map[string]string) []native.Config {
	t.Helper()
	return yamlOf(t, filepath.Join("..", "..", "examples", "native", example, "README.md"), values)
}

func TestConfigurationInTheREADME(t *testing.T) {
	cfg := yamlOf(t, "README.md", nil)[0]
	cfg.Path, cfg.Hash = program(t, "sink")
	if cfg.Name != "archive" || cfg.Batch != 64 || cfg.QueueBytes != 16<<20 || cfg.Restart.Max != 30*time.Second {
		t.Errorf("%+v", cfg)
	}
	if _, err := native.New([]native.Config{cfg}, native.Deps{}); err != nil {
		t.Error(err)
	}
}

// yamlOf reads the first YAML of a file.
func yamlOf(t *testing.T, file string, values map[string]string) []native.Config {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block := fence.FindSubmatch(raw)
	if block == nil {
		t.Fatal("the README has no YAML")
	}
	text := string(block[1])
	for key, value := range values {
		line := regexp.MustCompile(`(?m)^( *(?:- )?` + key + `:) .*$`)
		if !line.MatchString(text) {
			t.Fatalf("the README has no %s", key)
		}
		text = line.ReplaceAllString(text, "$1 "+strings.ReplaceAll(value, "$", "$$"))
	}
	return load(t, text)
}
