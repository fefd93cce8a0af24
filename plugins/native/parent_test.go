package native_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// parentEnv makes the test's own program a node that is to be killed.
const parentEnv = "HEDDLE_TEST_PARENT"

// parent runs a plugin, or starts its program by itself, and tells the test by lines of
// JSON on standard output.
func parent(mode string) {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if path, bare := strings.CutPrefix(mode, "bare "); bare {
		startBare(log, path)
		return
	}
	var cfg native.Config
	if err := json.Unmarshal([]byte(mode), &cfg); err != nil {
		log.Error(err.Error())
		return
	}
	plugins, err := native.New([]native.Config{cfg}, native.Deps{Log: log})
	if err != nil {
		log.Error(err.Error())
		return
	}
	_ = plugins.Run(context.Background()) // until it is killed
}

// startBare starts a program with nothing but its lifeline: the kernel does not kill it.
func startBare(log *slog.Logger, path string) {
	r, w, err := os.Pipe()
	if err != nil {
		log.Error(err.Error())
		return
	}
	defer w.Close()
	cmd := exec.Command(path, "echo")
	cmd.ExtraFiles = []*os.File{r}
	cmd.Env = []string{wire.CookieKey + "=" + wire.CookieValue, wire.LifelineEnv + "=3", "PLUGIN_PROTOCOL_VERSIONS=1", "TMPDIR=" + os.TempDir()}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		log.Error(err.Error())
		return
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it serves
		log.Error(err.Error())
		return
	}
	log.Info("plugin ready", "pid", cmd.Process.Pid)
	_ = cmd.Wait() // until this process is killed
}
