//go:build wasip1

// Knqyf263 is an echo for knqyf263/go-plugin: the Greeter of its own example.
package main

import (
	"context"

	"github.com/knqyf263/go-plugin/examples/helloworld/greeting"
)

type echo struct{}

func (echo) Greet(_ context.Context, r *greeting.GreetRequest) (*greeting.GreetReply, error) {
	return &greeting.GreetReply{Message: r.GetName()}, nil
}

func init() { greeting.RegisterGreeter(echo{}) }

func main() {} // is never called
