// Conformance guest in Go: cases.md says what each case does.
package main

import (
	"errors"
	"strings"
	"time"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

func init() {
	verdicts()
	effects()
	reading()
	hosts()
	ending()
	own()
	for _, h := range []heddle.Hook{heddle.Connect, heddle.Join, heddle.Request} {
		heddle.OnHook(h, echo)
	}
	for _, h := range []heddle.Hook{heddle.Timer, heddle.Response} {
		heddle.OnHook(h, seen)
	}
}

func main() {}

func verdicts() {
	heddle.On("case:pass", (*heddle.Event).Pass)
	heddle.On("case:nothing", func(*heddle.Event) error { return nil })
	heddle.On("case:forbid", func(e *heddle.Event) error { return e.Forbid("not here") })
	heddle.On("case:invalid", func(e *heddle.Event) error { return e.Invalid("data.text: too long") })
	heddle.On("case:rate", func(e *heddle.Event) error { return e.RateLimit("slow down", 1500*time.Millisecond) })
	heddle.On("case:silent", (*heddle.Event).DropSilently)
	heddle.On("case:replace", func(e *heddle.Event) error {
		b := append([]byte(`{"was":`), e.Payload()...)
		return e.Replace(append(b, '}'))
	})
	heddle.On("case:route", func(e *heddle.Event) error { return e.Route("conv:2") })
}

func effects() {
	heddle.On("case:set_attr", func(e *heddle.Event) error { return e.SetAttr("lang", []byte(`"fr"`)) })
	heddle.On("case:emit", func(e *heddle.Event) error {
		payload := []byte(`{"id":1}`)
		return errors.Join(e.Emit("conv:1", "order:created", payload, heddle.Durable()),
			e.Emit("user:ann", "order:told", payload, heddle.ToDevice("phone")))
	})
	heddle.On("case:reply", func(e *heddle.Event) error { return e.Reply([]byte(`{"ok":true}`)) })
	heddle.On("case:respond", func(e *heddle.Event) error { return e.Respond(201, "text/plain", []byte("made")) })
	heddle.On("case:http", func(e *heddle.Event) error {
		return e.HTTP(heddle.HTTP{
			Method: "POST", URL: "https://api.example.com/x?y=1", Headers: "content-type: application/json\nx-a: b",
			Body: []byte(`{"q":"ü"}`), Tag: "tag-1", Timeout: 2500 * time.Millisecond,
		})
	})
	heddle.On("case:timer", func(e *heddle.Event) error {
		return errors.Join(e.SetTimer("remind", time.Minute, []byte(`{"n":1}`)), e.CancelTimer("old"))
	})
}

// seen is for hooks that decide nothing.
func seen(e *heddle.Event) error {
	return e.SetAttr("seen", heddle.AppendQuoted(nil, e.Hook().String()))
}

func ending() {
	heddle.On("case:fill", func(e *heddle.Event) error {
		payload := []byte(`{"x":"` + strings.Repeat("a", 992) + `"}`)
		for e.Emit("conv:1", "order:filled", payload) == nil {
		}
		return nil
	})
	heddle.On("case:fail", func(*heddle.Event) error { return errors.New("told why") })
	heddle.On("case:trap", func(*heddle.Event) error { panic("as the case asks") })
}
