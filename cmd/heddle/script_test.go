package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script. Besides testscript's own commands they have:
//
//	dev            runs "heddle dev" until the script ends; sets $URL, $WS and $ADMIN
//	json FILE [KEY=VALUE...]  the file is one JSON object with these values
//	status N COMMAND [ARGS...]  is exec for a command that must end with this status
func TestScripts(t *testing.T) {
	bin := binary(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"dev": scriptDev, "json": scriptJSON, "status": scriptStatus,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func scriptDev(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: dev")
	}
	bin, err := build()
	ts.Check(err)
	n, err := begin(bin, "dev", "--listen", "127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0", "--data", ts.MkAbs("data"),
		"--set", "socket.handshake.rate_per_ip=0")
	ts.Check(err)
	ts.Defer(n.kill)
	select {
	case <-n.serves:
	case <-n.read:
		ts.Fatalf("heddle dev ended: %v\n%s", n.wait(), n.text())
	}
	ts.Setenv("URL", "http://"+n.addr)
	ts.Setenv("WS", n.url())
	ts.Setenv("ADMIN", "http://"+n.admin)
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status n command [args...]")
	}
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(status) != args[0] {
		ts.Fatalf("status %d, want %s", status, args[0])
	}
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: json file [key=value...]")
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &object); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	for _, arg := range args[1:] {
		key, want, _ := strings.Cut(arg, "=")
		if got, there := object[key]; !there || fmt.Sprint(got) != want {
			ts.Fatalf("%s: %s is %v, want %s", args[0], key, got, want)
		}
	}
}
