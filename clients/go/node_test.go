package heddle_test

import (
	"testing"

	"github.com/heddle-rt/heddle/clients/go/clienttest"
	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

func TestClientAgainstTheFakeNode(t *testing.T) {
	s := heddletest.New(heddletest.Options{})
	defer s.Close()
	clienttest.Run(t, clienttest.Node{URL: s.URL(), Token: func(user string) string { return user }, Cut: s.Cut})
}
