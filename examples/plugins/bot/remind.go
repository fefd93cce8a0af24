package main

import (
	"strconv"
	"time"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// Bounds of reminders.
const (
	soonest     = time.Second
	latest      = 7 * 24 * time.Hour
	longestText = 500 // bytes
	mostPending = 5   // of one user
)

// reminder is what "10m tea" asks for.
type reminder struct {
	word string // as it was written: 10m
	in   time.Duration
	text string
}

// parse reads a reminder, or says what is wrong with it.
func parse(rest string) (r reminder, wrong string) {
	const usage = " Write !remind 10m TEXT, or 90s, or 1h30m."
	var err error
	r.word, r.text = cutSpace(rest)
	if r.in, err = time.ParseDuration(r.word); err != nil {
		return r, "When?" + usage
	}
	switch {
	case r.in < soonest || r.in > latest:
		return r, "Between a second and 168h, please."
	case r.text == "":
		return r, "Of what?" + usage
	case len(r.text) > longestText:
		return r, "That is too long to remember: 500 bytes at most."
	}
	return r, ""
}

// setReminder sets a timer, which survives a restart of the node. The number that
// names it is a count in the store: so no other one has the name, and a message that
// is run again after a trap, or sent again by its client, sets no second one.
func setReminder(e *heddle.Event, rest string) error {
	r, wrong := parse(rest)
	if wrong != "" {
		return say(e, e.Room(), wrong)
	}
	pending, err := heddle.KVAdd(pendingKey(e.User()), 1, latest)
	if err != nil {
		return err
	}
	if pending > mostPending {
		if _, err := heddle.KVAdd(pendingKey(e.User()), -1, latest); err != nil {
			return err
		}
		return say(e, e.Room(), "You have "+strconv.Itoa(mostPending)+" reminders already.")
	}
	n, err := heddle.KVAdd(setReminders, 1, 0)
	if err != nil {
		return err
	}
	if err := e.SetTimer("reminder "+strconv.FormatInt(n, 10), r.in, noted(e.Room(), e.User(), r.text)); err != nil {
		return err
	}
	return say(e, e.Room(), "In "+r.word+", "+e.User()+": "+r.text)
}

// pendingKey is where a user's reminders are counted that are still to come. The count
// ends with the longest of them, so that it cannot be wrong for ever.
func pendingKey(user string) string { return "pending:" + user }

// noted is a timer's payload. The manifest's attributes read it again.
func noted(room, user, text string) []byte {
	b := heddle.AppendQuoted([]byte(`{"room":`), room)
	b = heddle.AppendQuoted(append(b, `,"user":`...), user)
	b = heddle.AppendQuoted(append(b, `,"text":`...), text)
	return append(b, '}')
}

// remind is the timer.
func remind(e *heddle.Event) error {
	room, user, text := e.Text("room"), e.Text("user"), e.Text("text")
	if room == "" || user == "" {
		return nil // none of this version's
	}
	if _, err := heddle.KVAdd(pendingKey(user), -1, latest); err != nil {
		return err
	}
	return say(e, room, user+": "+text, user)
}
