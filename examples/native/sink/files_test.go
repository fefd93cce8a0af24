package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func batch(number uint64, texts ...string) serve.Batch {
	b := serve.Batch{Run: "r", Number: number}
	for i, text := range texts {
		b.Records = append(b.Records, &serve.Record{Id: text, Tenant: "acme", Room: "conv:1", Offset: number + uint64(i), Action: "message:send", Data: []byte(`{"text":"` + text + `"}`)})
	}
	return b
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	f, err := open(dir, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 5; n++ {
		if err := f.append(batch(n, strings.Repeat("x", 100))); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	there, err := numbers(dir)
	if err != nil || len(there) != 3 || there[0] != 3 || there[2] != 5 {
		t.Errorf("files %v, %v", there, err)
	}
}

func TestCutLineGoes(t *testing.T) {
	dir := t.TempDir()
	f, err := open(dir, 1<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.append(batch(1, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.file.WriteString(`{"run":"r","numb`); err != nil {
		t.Fatal(err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if f, err = open(dir, 1<<20, 1); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := f.append(batch(3, "c")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(f.name(1))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for text := range strings.Lines(string(raw)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l.ID)
	}
	if strings.Join(got, " ") != "a b c" {
		t.Errorf("events %v", got)
	}
}
