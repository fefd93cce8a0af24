package config_test

import (
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/config"
)

// described is what Load says of a type's tags.
func described[T any]() error {
	_, err := config.Load[T](config.Options{})
	return err
}

func TestFaultyTags(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no struct": {described[int](), "int is not a struct"},
		"no tag": {described[struct {
			NoTag int
		}](), "NoTag has no yaml tag"},
		"one key, two fields": {described[struct {
			A int `yaml:"a"`
			B int `yaml:"a"`
		}](), "a: two fields"},
		"a type that nobody writes": {described[struct {
			Next []struct {
				C chan int `yaml:"c"`
			} `yaml:"next"`
		}](), "a chan int cannot"},
		"a bound of no value": {described[struct {
			Bound int `yaml:"bound" max:"x"`
		}](), "bound: max"},
		"a default of another type": {described[struct {
			Bad int `yaml:"bad" default:"x"`
		}](), "bad: default: want a whole number in decimal"},
		"a default of another type in a map": {described[struct {
			Map map[string]int `yaml:"map" default:"{a: b}"`
		}](), "map: default: want a whole number"},
		"a default below its bound": {described[struct {
			Least int `yaml:"least" default:"1" min:"2"`
		}](), `least: default: want at least 2, not "1"`},
		"a default that may not be": {described[struct {
			Enum string `yaml:"enum" default:"c" enum:"a,b"`
		}](), `enum: default: want one of a, b, not "c"`},
		"one variable for two paths": {described[struct {
			A struct {
				BC int `yaml:"b_c"`
			} `yaml:"a"`
			AB struct {
				C int `yaml:"c"`
			} `yaml:"a_b"`
		}](), "HEDDLE_A_B_C"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
				t.Errorf("%q is not in %v", c.want, c.err)
			}
		})
	}
}
