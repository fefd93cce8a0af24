package config_test

import (
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

// careless has a Check that a faulty value makes panic.
type careless struct {
	Names []string `yaml:"names"`
	N     int      `yaml:"n"`
}

func (c *careless) Check(func(path, problem string)) { _ = c.Names[0] }

func TestACarelessCheckHidesNoFault(t *testing.T) {
	_, err := config.Load[careless](config.Options{Set: []string{"n=x", "names={}"}})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("%v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a panic without a fault is the program's, and was hidden")
		}
	}()
	_, _ = config.Load[careless](config.Options{})
}
