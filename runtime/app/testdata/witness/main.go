// Witness tells channel:log of each hook that it is called for.
package main

import (
	"fmt"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

func init() {
	for _, h := range []heddle.Hook{
		heddle.Before, heddle.After, heddle.Connect, heddle.Disconnect, heddle.Join, heddle.Leave, heddle.Request, heddle.Timer,
	} {
		heddle.OnHook(h, tell)
	}
}

func main() {}

func tell(e *heddle.Event) error {
	said := fmt.Appendf(nil, `{"hook":%q,"user":%q,"device":%q,"room":%q,"action":%q,"connection":%d,"attrs":[`,
		e.Hook(), e.User(), e.Device(), e.Room(), e.Action(), e.Connection())
	for a := range e.Attrs() {
		said = fmt.Appendf(said, `%q,`, fmt.Sprint(a.Name(), " ", a.Type()))
	}
	said = append(said, `"end"]}`...)
	if err := e.Emit("channel:log", "seen:"+e.Hook().String(), said); err != nil {
		return err
	}
	switch e.Hook() {
	case heddle.Before:
		for name, value := range map[string]string{"b": "true", "f": "0.5", "i": "-3", "j": "[1]", "t": `"x"`} {
			if err := e.SetAttr(name, []byte(value)); err != nil {
				return err
			}
		}
	case heddle.Request:
		switch string(e.Payload()) {
		case "write and fail":
			if err := heddle.KVPut("k", []byte("v"), 0); err != nil {
				return err
			}
			return e.Emit("nosuchtype:1", "seen:nothing", []byte("{}"))
		case "read":
			_, err := heddle.KVGet("k")
			return e.Respond(200, "text/plain", fmt.Append(nil, err))
		}
		if string(e.Payload()) == "timer" {
			return e.SetTimer("soon", 0, nil)
		}
		return e.Respond(201, "text/plain", append([]byte("made of "), e.Payload()...))
	}
	return nil
}
