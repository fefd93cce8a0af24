package chaos

import (
	"os"
	"syscall"
)

// Variables by which this program, called as heddle is, knows that it is to become a node.
const (
	binaryEnv  = "CHAOS_BINARY"
	mistakeEnv = "CHAOS_PLANTED" // as HEDDLE_PLANTED, which a cluster takes from its nodes
)

// shim is the path of this program, which a cluster starts in the place of heddle.
func shim(opt *Options) (string, error) {
	if err := os.Setenv(binaryEnv, opt.Binary); err != nil {
		return "", err
	}
	if err := os.Setenv(mistakeEnv, opt.Planted); err != nil {
		return "", err
	}
	return os.Executable()
}

// IsNode reports whether this process was started as a node. If so, it becomes one, and
// returns with an error only.
func IsNode() (bool, error) {
	heddle := os.Getenv(binaryEnv)
	if heddle == "" || len(os.Args) < 2 || os.Args[1] != "serve" {
		return false, nil
	}
	if err := enter(os.Args[1:]); err != nil {
		return true, err
	}
	env := os.Environ()
	if name := os.Getenv(mistakeEnv); name != "" {
		env = append(env, "HEDDLE_PLANTED="+name)
	}
	return true, syscall.Exec(heddle, append([]string{heddle}, os.Args[1:]...), env)
}
