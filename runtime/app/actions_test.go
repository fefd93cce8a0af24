package app

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
)

func allActions() []event.Action {
	return append(session.Actions(), builtin.All(builtin.Deps{})...)
}

// TestReadingIsOfActionsThatAreThere: what a limited grant leaves is about rooms, and
// nothing of it is a message to others.
func TestReadingIsOfActionsThatAreThere(t *testing.T) {
	n := 0
	for _, a := range allActions() {
		if authorize.Reading(a.Name) {
			n++
			if a.Rate == event.RateMessage || a.Permission == event.Publisher || a.Permission == event.Moderator {
				t.Errorf("%s does more than read", a.Name)
			}
		}
	}
	if n != 7 {
		t.Errorf("%d of 7 are there", n)
	}
}

// told is what the others see of an action, where that has another name. "" is for
// actions that nobody else sees: others have to be there all the same.
var told = map[string]string{
	"session:open": "", "session:resume": "", "session:ack": "", "session:ping": "", "session:close": "",
	"presence:subscribe": "", "presence:unsubscribe": "", "session:devices": "", "session:locate": "", "auth:refresh": "",
	"room:members": "", "room:history": "",
	"typing:start": "typing:update", "typing:stop": "typing:update",
}

// played is what the scripts show of an action.
type played struct{ done, seen, refused bool }

// TestEveryActionIsPlayed holds the scripts to the actions: each is done while
// another client is there, who sees it if it can be seen, and each is refused.
func TestEveryActionIsPlayed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*played{}
	for _, a := range allActions() {
		all[a.Name] = &played{}
	}
	for _, file := range files {
		watch(t, file, all)
	}
	for name, p := range all {
		_, unseen := told[name]
		if other := told[name]; other != "" {
			p.seen = p.done && all[name].seen
		} else if unseen {
			p.seen = p.done
		}
		if !p.done || !p.seen || !p.refused {
			t.Errorf("%s: done with another client there %v, seen by that %v, refused %v", name, p.done, p.seen, p.refused)
		}
	}
}

// watch notes what one script shows.
func watch(t *testing.T, file string, all map[string]*played) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	senders, clients := map[string]map[string]bool{}, map[string]bool{} // by action
	for in := bufio.NewScanner(strings.NewReader(string(text))); in.Scan(); {
		word, rest, _ := strings.Cut(in.Text(), " ")
		who := strings.TrimRight(word, "<>~!")
		if strings.HasPrefix(rest, "connect") {
			clients[who] = true
		}
		if strings.HasSuffix(word, ">") && strings.Contains(rest, `"type":"ack"`) {
			rest = "session:ack"
		}
		switch {
		case strings.HasSuffix(word, ">") && !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, "["):
			action, _, _ := strings.Cut(rest, " ")
			if senders[action] == nil {
				senders[action] = map[string]bool{}
			}
			senders[action][who] = true
			if p := all[action]; p != nil && len(clients) > 1 {
				p.done = true
			}
		case strings.HasSuffix(word, "<") || strings.HasSuffix(word, "~"):
			var e struct {
				Type    string
				Payload struct{ Action string }
			}
			if json.Unmarshal([]byte(rest), &e) == nil {
				note(all, senders, who, e.Type, e.Payload.Action)
			}
		}
	}
}

// note takes one envelope that a client gets.
func note(all map[string]*played, senders map[string]map[string]bool, who, kind, action string) {
	if p := all[action]; kind == "error" && p != nil {
		p.refused = true
	}
	for name, p := range all {
		if action != name && (told[name] == "" || action != told[name]) {
			continue
		}
		for sender := range senders[name] {
			p.seen = p.seen || kind != "ack" && kind != "error" && sender != who
		}
	}
}
