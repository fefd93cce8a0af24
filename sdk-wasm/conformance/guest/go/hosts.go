package main

import (
	"errors"
	"strconv"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

func hosts() {
	heddle.On("case:kv", kv)
	heddle.On("case:host", host)
	heddle.On("case:lookup", lookup)
}

func kv(e *heddle.Event) error {
	put := heddle.KVPut("k", []byte("v"), 0)
	got, err := heddle.KVGet("k")
	swap := heddle.KVSwap("k", []byte("v"), []byte("w"), 0)
	again := heddle.KVSwap("k", []byte("v"), []byte("x"), 0)
	_, add := heddle.KVAdd("n", 5, 0)
	sum, more := heddle.KVAdd("n", -2, 0)
	gone := heddle.KVDelete("k")
	if err := errors.Join(put, err, add, more, gone); err != nil {
		return err
	}
	_, gone = heddle.KVGet("k")
	b := heddle.AppendQuoted([]byte(`{"get":`), string(got))
	b = heddle.AppendQuoted(append(b, `,"swap":`...), word(swap))
	b = heddle.AppendQuoted(append(b, `,"again":`...), word(again))
	b = strconv.AppendInt(append(b, `,"sum":`...), sum, 10)
	b = heddle.AppendQuoted(append(b, `,"gone":`...), word(gone))
	return e.Reply(append(b, '}'))
}

// word is that of the contract for what came of a call.
func word(err error) string {
	if err == nil {
		return heddle.OK.Error()
	}
	return err.Error()
}

func host(e *heddle.Event) error {
	var random [16]byte
	err := heddle.Random(random[:])
	secret, none := heddle.Secret("token")
	heddle.Debug("debug line")
	heddle.Info("info line")
	heddle.Warn("warn line")
	heddle.Error("error line")
	err = errors.Join(err, none, heddle.Count("hits", 2), heddle.Gauge("level", 0.5), heddle.Observe("took", 0.25))
	if err != nil {
		return err
	}
	b := strconv.AppendBool([]byte(`{"now":`), heddle.Now() > 0)
	b = strconv.AppendBool(append(b, `,"random":`...), random != [16]byte{})
	b = append(append(b, `,"config":`...), heddle.Config()...)
	b = heddle.AppendQuoted(append(b, `,"secret":`...), secret)
	return e.Reply(append(b, '}'))
}

func lookup(e *heddle.Event) error {
	b := []byte{}
	for i, ask := range []struct {
		name string
		call func() ([]byte, error)
	}{
		{"room", func() ([]byte, error) { return heddle.LookupRoom("conv:1") }},
		{"member", func() ([]byte, error) { return heddle.LookupMember("conv:1", "ann") }},
		{"presence", func() ([]byte, error) { return heddle.LookupPresence("ann") }},
		{"members", func() ([]byte, error) { return heddle.LookupMembers("conv:1", "") }},
	} {
		b = append(heddle.AppendQuoted(append(b, "{,"[min(i, 1)]), ask.name), ':')
		if json, err := ask.call(); err != nil {
			b = heddle.AppendQuoted(b, word(err))
		} else {
			b = append(b, json...)
		}
	}
	return e.Reply(append(b, '}'))
}
