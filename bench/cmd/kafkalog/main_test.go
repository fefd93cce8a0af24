package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestCompare(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o := options{brokers: c.ListenAddrs(), reps: 1, count: 4 * batch, compression: "snappy"}
	bare, log, err := o.compare(t.Context(), 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if bare.rate <= 0 || log.rate <= 0 || log.batch < 1 || log.batch > batch {
		t.Errorf("bare %+v, log %+v", bare, log)
	}
	rows := []row{{partitions: 2, inFlight: 2, bare: result{rate: 100}, log: result{rate: 50}}, {partitions: 2, inFlight: 4, bare: result{rate: 80}, log: result{rate: 75}}}
	if got := share(rows, 2); got != 0.75 {
		t.Errorf("the share is %v", got)
	}
	for markdown, want := range map[bool]string{true: "|2|2|100|50|0.50|", false: " 0.94 "} {
		var b bytes.Buffer
		table(&b, rows, markdown)
		if !strings.Contains(b.String(), want) {
			t.Errorf("printed %s", &b)
		}
	}
}

func TestParse(t *testing.T) {
	var o options
	if err := o.parse("a:1,b:2", "1,4"); err != nil || len(o.brokers) != 2 || len(o.inFlight) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, wrong := range []string{"", "0", "1,x"} {
		if err := o.parse("", wrong); err == nil {
			t.Errorf("-in-flight %q is taken", wrong)
		}
	}
}
