// Webhook takes GitHub's webhooks, and tells rooms of pushes and issues. It has no state
// but the ids of deliveries, which are in the store for a while.
package main

import (
	"errors"
	"time"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// rooms is the config.
var rooms routes

func init() {
	heddle.Start(func(config []byte) (err error) {
		if rooms, err = parseConfig(config); err != nil {
			return err
		}
		// encoding/json looks at types when it first meets them. What it has found is then
		// in the image, or else each request, with its fresh memory, would find it anew.
		_, _ = read("push", []byte("{}"))
		return nil
	})
	heddle.OnHook(heddle.Request, request)
}

func main() {} // is never called

// request answers one delivery. Nothing of it is believed, or looked at, before its
// signature is found good.
func request(e *heddle.Event) error {
	h := headers(e.Text("headers"))
	secret, err := heddle.Secret("github")
	if err != nil || secret == "" {
		heddle.Error("there is no secret github in the node's config for this plugin")
		return answer(e, 503, "error", "there is no secret to check the signature with")
	}
	if !signed(e.Payload(), secret, h.get("x-hub-signature-256")) {
		heddle.Count("unsigned", 1)
		return answer(e, 401, "error", "X-Hub-Signature-256 is missing, or of another secret or body")
	}
	id := h.get("x-github-delivery")
	if id == "" || len(id) > 64 {
		return answer(e, 400, "error", "want X-GitHub-Delivery, of at most 64 bytes")
	}
	n, err := read(h.get("x-github-event"), e.Payload())
	if err != nil {
		return answer(e, 400, "error", err.Error())
	}
	room := rooms.of(n.repository)
	if n.text == "" || room == "" {
		return accept(e, id, "nobody is told of this")
	}
	switch again, err := seen(id); {
	case err != nil:
		return err
	case again:
		return accept(e, id, "it was there before")
	}
	if err := e.Emit(room, "message:send", n.message(), heddle.Durable()); err != nil {
		return err
	}
	return accept(e, id, "")
}

// kept is how long a delivery's id is kept. GitHub delivers again what was in the last
// three days, if it is asked to, and with the same id:
// https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks
const kept = 3 * 24 * time.Hour

// seen keeps a delivery's id, and reports whether it was there. Of two deliveries at the
// same time one is run again when the other is done, and finds the id: the store sees to
// that.
func seen(id string) (bool, error) {
	err := heddle.KVSwap("delivery:"+id, nil, []byte{'1'}, kept)
	if errors.Is(err, heddle.Conflict) {
		return true, nil
	}
	return false, err
}

// accept answers 202. Of what is ignored it says why, for those who look at GitHub's
// list of deliveries.
func accept(e *heddle.Event, id, ignored string) error {
	b := heddle.AppendQuoted([]byte(`{"id":`), id)
	if ignored != "" {
		b = heddle.AppendQuoted(append(b, `,"ignored":`...), ignored)
	}
	return e.Respond(202, "application/json", append(b, '}'))
}

// answer answers with an object of one member.
func answer(e *heddle.Event, status int, name, text string) error {
	b := heddle.AppendQuoted([]byte{'{'}, name)
	b = heddle.AppendQuoted(append(b, ':'), text)
	return e.Respond(status, "application/json", append(b, '}'))
}
