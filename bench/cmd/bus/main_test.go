package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("there is no redis-server: ", err)
	}
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	o := options{addr: s.addr, reps: 3, pipelines: 1, partitions: 8}
	r, err := newRig(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.close() })
	bare, bus, err := o.compare(t.Context(), r, body("text", 16<<10), 500)
	if err != nil {
		t.Fatal(err)
	}
	if bare.rate <= 0 || bus.rate <= 0 || bare.out < 16<<10 || bus.out > 8<<10 || bus.out < 1<<10 {
		t.Errorf("bare %+v, bus %+v", bare, bus)
	}
	for markdown, want := range map[bool]string{true: "|text|", false: "text "} {
		var b bytes.Buffer
		table(&b, []row{{"text", bare, bus}}, markdown)
		if !strings.Contains(b.String(), want) {
			t.Errorf("printed %s", &b)
		}
	}
}
