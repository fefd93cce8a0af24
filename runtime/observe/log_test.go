package observe

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLoggerFormsAndLevel(t *testing.T) {
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": "msg=hello"} {
		var out bytes.Buffer
		log, level := NewLogger(LogConfig{Format: format, Level: slog.LevelWarn, AddSource: true, Repeats: 5, Interval: time.Second}, &out)
		log.Info("quiet")
		level.Set(slog.LevelDebug)
		log.Debug("hello", "n", 1)
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "quiet") || !strings.Contains(got, "log_test.go") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// TestDurationsHaveAUnit in every line, whoever writes it.
func TestDurationsHaveAUnit(t *testing.T) {
	for format, want := range map[string]string{"json": `"for":"5s","g":{"took":"1.5ms","n":3}`, "text": "for=5s g.took=1.5ms g.n=3"} {
		var out bytes.Buffer
		log, _ := NewLogger(LogConfig{Format: format, Repeats: 5, Interval: time.Second}, &out)
		log.With("for", 5*time.Second).WithGroup("g").Info("x", "took", 1500*time.Microsecond, "n", 3)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}

func TestAFloodIsCountedNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _ := NewLogger(LogConfig{Format: "text", Repeats: 3, Interval: 10 * time.Second}, &out)
		derived := log.With("room", "r").WithGroup("g")
		for i := range 100 {
			derived.Warn("disk slow", "i", i)
			log.Error("disk slow")
		}
		log.Info("another")
		if n := strings.Count(out.String(), "disk slow"); n != 6 {
			t.Errorf("%d written, want 3 of each level", n)
		}
		if !strings.Contains(out.String(), "room=r g.i=2") || !strings.Contains(out.String(), "another") {
			t.Error(out.String())
		}
		out.Reset()
		time.Sleep(10 * time.Second)
		log.Info("later")
		if n := strings.Count(out.String(), `msg="message suppressed" message="disk slow" times=97`); n != 2 {
			t.Errorf("%d counts:\n%s", n, out.String())
		}
		out.Reset()
		log.Error("disk slow")
		if !strings.Contains(out.String(), "disk slow") {
			t.Error("still suppressed in the next interval")
		}
	})
}

func TestMessagesToldApartAreBounded(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(Limit(slog.NewTextHandler(&out, nil), 2, time.Hour))
	for i := range 3 * maxMessages {
		log.Info(fmt.Sprint("message ", i))
	}
	if n := strings.Count(out.String(), "\n"); n > maxMessages+2 {
		t.Errorf("%d lines", n)
	}
}

func BenchmarkSuppressed(b *testing.B) {
	log := slog.New(Limit(slog.NewTextHandler(io.Discard, nil), 1, time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		log.Info("again")
	}
}
