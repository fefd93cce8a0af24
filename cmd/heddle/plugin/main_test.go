package plugin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tested builds what the scripts run as heddle, without the race detector even if the
// tests have it: compiling modules takes ten times as long with it.
func tested(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "heddle")
	if out, err := exec.Command("go", "build", "-race=false", "-o", path, "./testdata/heddle").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// TestScripts runs testdata/script. Besides testscript's own commands they have:
//
//	module FILE pass|drop|http  writes a module that lets every event pass, or refuses it, or imports what nobody has
//	node                        starts a fake node; sets $HEDDLE_URL and $HEDDLE_KEY
//	deploys N                   waits until the node has had so many deploys
//	says PLUGIN TEXT [LEVEL]    puts a line into a plugin's log on the node, as info
//	sick PLUGIN WHY             the live version of a plugin can not run
//	away, back                  the node answers nobody; until three requests were in vain; and answers again
//	heard PLUGIN                waits until somebody has been given all lines of it
//	history ROOM FILE           the node answers with this as the room's history
//
// and the conditions [tool:go], [tool:rust], [tool:as] and [tool:c].
func TestScripts(t *testing.T) {
	bin := tested(t)
	as, err := filepath.Abs(filepath.Join("..", "..", "..", "sdk-wasm", "as", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{"XDG_CACHE_HOME": filepath.Join(os.TempDir(), "heddle-plugin-test-cache"), "AS_MODULES": as, "GOPROXY": "off", "GOFLAGS": ""}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOROOT"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		kept[name] = string(out[:len(out)-1])
	}
	for _, name := range []string{"RUSTUP_HOME", "CARGO_HOME"} {
		kept[name] = os.Getenv(name)
		if home, err := os.UserHomeDir(); kept[name] == "" && err == nil {
			kept[name] = filepath.Join(home, map[string]string{"RUSTUP_HOME": ".rustup", "CARGO_HOME": ".cargo"}[name])
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			for name, value := range kept {
				env.Setenv(name, value)
			}
			env.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Values[fakeKey{}] = &fake{}
			return nil
		},
		Condition: func(cond string) (bool, error) { return tool(t, cond, as) },
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"module": scriptModule, "node": scriptNode, "deploys": scriptDeploys, "says": scriptSays, "sick": scriptSick, "away": scriptAway, "back": scriptBack, "heard": scriptHeard, "history": scriptHistory,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// tool reports whether a language can be built here.
func tool(t *testing.T, cond, as string) (bool, error) {
	var err error
	switch cond {
	case "tool:go":
		_, err = exec.LookPath("go")
	case "tool:c":
		if _, err = exec.LookPath("clang"); err == nil {
			_, err = exec.LookPath("wasm-ld")
		}
	case "tool:rust":
		_, err = rustc(t.Context())
	case "tool:as":
		_, err = os.Stat(filepath.Join(as, "assemblyscript"))
	default:
		return false, fmt.Errorf("no condition %q", cond)
	}
	if err != nil {
		t.Logf("%s: %v", cond, err)
	}
	return err == nil, nil
}

func scriptModule(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: module file pass|drop|http")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), tiny(args[1]), 0o644))
}

func fakeOf(ts *testscript.TestScript) *fake { return ts.Value(fakeKey{}).(*fake) }

func scriptNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: node")
	}
	f := fakeOf(ts)
	url := f.start()
	ts.Defer(f.stop)
	ts.Setenv("HEDDLE_URL", url)
	ts.Setenv("HEDDLE_KEY", fakeAPIKey)
}

func scriptDeploys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: deploys n")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	f := fakeOf(ts)
	ts.Check(f.until("deploys "+args[0], func() bool { return f.deploys >= n }))
}

func scriptHeard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: heard plugin")
	}
	f := fakeOf(ts)
	ts.Check(f.until("heard", func() bool { p := f.plugins[args[0]]; return p.heard == len(p.lines) }))
}

func scriptSays(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: says plugin text [level]")
	}
	fakeOf(ts).say(args[0], append(args, "info")[2], args[1])
}

func scriptSick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sick plugin why")
	}
	fakeOf(ts).sick(args[0], args[1])
}

func scriptAway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: away")
	}
	f := fakeOf(ts)
	f.leave(true)
	ts.Check(f.until("missed", func() bool { return f.missed >= 3 }))
}

func scriptBack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: back")
	}
	fakeOf(ts).leave(false)
}

func scriptHistory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: history room file")
	}
	ts.Check(fakeOf(ts).remember(args[0], []byte(ts.ReadFile(args[1]))))
}
