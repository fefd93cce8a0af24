package app

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the node answers into testdata")

// TestScripts plays testdata/*.txt, in both dialects, against a node of its own
// each.
//
//	config PATH=VALUE             of the node; first lines only
//	ann connect [user= tenant= via=subprotocol|header|first|none token=JWT device= exp=2s alg=ES256 rooms=a,b]
//	ann> ACTION [ROOM] [#ID] DATA one request
//	ann> {...} or [...]           a frame as it is
//	ann! ...                      the same, of what the schema does not allow
//	ann< {...}                    the next envelope, close frame or refused handshake
//	ann~ {...}                    the same, of a run of lines whose order is not told
//	ann idle                      nothing waits for ann
//	ann drop                      cuts the TCP connection
//	stop, start, restart          the node, on the same data
//	wait 30ms
//	trimmed ROOM N                waits until no more than N events are kept
//	saved USER N                  waits until N of the user's sessions can be resumed
//
// What differs from run to run has names: $ULID1, $EPOCH1, $SESSION1, $TOKEN1 by
// first appearance, $T for times. They may be used in what is sent. Every client
// that is still connected is idle at the end.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		for _, d := range []dialect{"json", packed} {
			if *update && d == packed {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+string(d), func(t *testing.T) {
				t.Parallel()
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				s := &script{t: t, file: file, dialect: d, clients: map[string]*client{}, refused: map[string]*refusal{}, names: map[string]string{}, count: map[string]int{}}
				got := s.play(string(text))
				if *update && got != string(text) {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

type script struct {
	t       *testing.T
	file    string
	line    int
	dialect dialect
	node    *node
	clients map[string]*client
	refused map[string]*refusal
	names   map[string]string // of a value
	count   map[string]int
	told    []string // values, in the order of their names
}

func (s *script) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s", s.file, s.line, fmt.Sprintf(format, args...))
}

// play runs the lines and returns them as they should be.
func (s *script) play(text string) string {
	var lines, out []string
	for in := bufio.NewScanner(strings.NewReader(text)); in.Scan(); {
		lines = append(lines, in.Text())
	}
	var set []string
	for i := 0; i < len(lines); i++ {
		s.line = i + 1
		line := lines[i]
		if path, ok := strings.CutPrefix(line, "config "); ok {
			set = append(set, path)
		}
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "config ") {
			out = append(out, line)
			continue
		}
		if s.node == nil {
			s.node = serve(s.t, set...)
		}
		name, _, _ := strings.Cut(line, " ")
		if who, ok := strings.CutSuffix(name, "<"); ok {
			got := s.read(who)
			s.compare(line, name+" "+got)
			out = append(out, name+" "+got)
			continue
		}
		if who, ok := strings.CutSuffix(name, "~"); ok {
			end := i
			for end < len(lines) && strings.HasPrefix(lines[end], name) {
				end++
			}
			for _, got := range s.unordered(who, end-i) {
				s.line = i + 1
				s.compare(lines[i], name+" "+got)
				out = append(out, name+" "+got)
				i++
			}
			i--
			continue
		}
		s.command(line)
		out = append(out, line)
	}
	for who, c := range s.clients {
		if !c.over {
			s.idle(who)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

func (s *script) compare(want, got string) {
	s.t.Helper()
	if want != got && !*update {
		s.t.Errorf("%s:%d:\ngot  %s\nwant %s", s.file, s.line, got, want)
	}
}

func (s *script) command(line string) {
	s.t.Helper()
	who, rest, _ := strings.Cut(line, " ")
	if name, ok := strings.CutSuffix(who, ">"); ok {
		s.client(name).send(s.frame(rest))
		return
	}
	if name, ok := strings.CutSuffix(who, "!"); ok {
		s.client(name).text(s.frame(rest))
		return
	}
	verb, args, _ := strings.Cut(rest, " ")
	switch {
	case who == "stop":
		s.node.cancel()
	case who == "start":
		s.node.stop()
		s.node.start()
	case who == "restart":
		s.node.stop()
		s.node.start()
	case who == "trimmed":
		room, keep, _ := strings.Cut(rest, " ")
		eventually(s.t, room+" is trimmed", func() bool { return fmt.Sprint(len(s.node.records("acme", room))) == keep })
	case who == "saved":
		user, count, _ := strings.Cut(rest, " ")
		eventually(s.t, "the sessions of "+user+" are saved", func() bool {
			records, err := s.node.app.stores.sessions.OfUser(s.t.Context(), "acme", user, 100)
			return err == nil && fmt.Sprint(len(records)) == count
		})
	case who == "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.fatalf("%v", err)
		}
		time.Sleep(d) // what is waited for is time itself
	case verb == "connect":
		s.connect(who, args)
	case verb == "drop":
		c := s.client(who)
		at := len(s.node.connections(c.tenant, c.user))
		c.drop()
		eventually(s.t, "the node sees that "+who+" is gone", func() bool { return len(s.node.connections(c.tenant, c.user)) < at })
	case verb == "idle":
		s.idle(who)
	default:
		s.fatalf("no such command: %s", line)
	}
}

func (s *script) client(who string) *client {
	s.t.Helper()
	c := s.clients[who]
	if c == nil {
		s.fatalf("%s is not connected", who)
	}
	return c
}

func (s *script) connect(who, args string) {
	s.t.Helper()
	d := dial{tenant: "acme", user: who, dialect: s.dialect}
	via, alg := "", ""
	cl := claims("", "")
	for arg := range strings.FieldsSeq(args) {
		k, v, _ := strings.Cut(arg, "=")
		switch k {
		case "user":
			d.user = v
		case "tenant":
			d.tenant = v
		case "via":
			via = v
		case "alg":
			alg = v
		case "token":
			d.token = v
		case "device":
			cl.Device = v
		case "rooms":
			cl.Rooms = strings.Split(v, ",")
		case "exp":
			in, err := time.ParseDuration(v)
			if err != nil {
				s.fatalf("%v", err)
			}
			cl.Expires = time.Now().Add(in)
		default:
			s.fatalf("no such argument: %s", arg)
		}
	}
	cl.Tenant, cl.User = d.tenant, d.user
	if d.token == "" {
		if d.token = mint(s.t, cl); alg != "" {
			d.token = mintES256(s.t, d.user)
		}
	}
	if via == "first" || via == "none" {
		s.names["$JWT"] = d.token
		d.token = "-"
	}
	d.header = via == "header"
	s.clients[who], s.refused[who] = s.node.try(s.t, d)
}

var request = regexp.MustCompile(`^([a-z:_]+)(?: ([a-z]+:\S+))?(?: #(\S+))?(?: (\{.*))?$`)

// frame is what a line sends.
func (s *script) frame(what string) string {
	s.t.Helper()
	for i, value := range slices.Backward(s.told) { // $E10 before $E1
		what = strings.ReplaceAll(what, s.names[s.told[i]], value)
	}
	what = strings.ReplaceAll(what, "$JWT", s.names["$JWT"])
	if what[0] != '{' && what[0] != '[' {
		m := request.FindStringSubmatch(what)
		if m == nil {
			s.fatalf("not a request: %s", what)
		}
		what = envelope(m[1], m[2], m[3], cmp.Or(m[4], "{}"))
	}
	return what
}

// read is the next line of a client.
func (s *script) read(who string) string {
	s.t.Helper()
	if no := s.refused[who]; no != nil {
		s.refused[who] = nil
		return s.stable(fmt.Sprintf("%d %s", no.status, no.body))
	}
	return s.stable(s.next(who))
}

func (s *script) next(who string) string {
	s.t.Helper()
	js, err := s.client(who).next()
	var end *closed
	switch {
	case errors.As(err, &end):
		return end.Error()
	case err != nil:
		s.fatalf("%s waits: %v", who, err)
	}
	return js
}

// unordered reads n envelopes and sorts them by what they are.
func (s *script) unordered(who string, n int) []string {
	s.t.Helper()
	all := make([]string, n)
	for i := range all {
		all[i] = s.next(who)
	}
	key := func(js string) string {
		e := parse(s.t, js)
		return fmt.Sprint(e.Type, e.Ref, e.Room, e.Offset, e.Payload.Action)
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	for i := range all {
		all[i] = s.stable(all[i])
	}
	return all
}

// idle expects that nothing waits for a client: the answer to a ping comes next.
func (s *script) idle(who string) {
	s.t.Helper()
	c := s.client(who)
	c.send(envelope("session:ping", "", "idle", "{}"))
	if js := s.next(who); !strings.Contains(js, `"ref":"idle"`) {
		s.t.Errorf("%s:%d: %s waits for nothing, but received %s", s.file, s.line, who, s.stable(js))
	}
}

var (
	always  = regexp.MustCompile(`"v":1,|"tenant_id":"acme",`)
	times   = regexp.MustCompile(`"(timestamp|expires_at|expires_in_ms|since|last_seen|joined_at|reconnect_in_ms|retry_after_ms)":[0-9]+`)
	moments = regexp.MustCompile(`:[12][0-9]{12}([,}])`)
	values  = regexp.MustCompile(`"(epoch|resume_token|session|id)":"([^"]+)"`)
	ulids   = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)
	kinds   = map[string]string{"epoch": "$EPOCH", "resume_token": "$TOKEN", "session": "$SESSION", "id": "$ULID"}
)

// stable gives names to what differs from run to run.
func (s *script) stable(js string) string {
	js = always.ReplaceAllString(js, "")
	js = times.ReplaceAllString(js, `"$1":"$$T"`)
	js = moments.ReplaceAllString(js, `:"$$T"$1`)
	for _, m := range values.FindAllStringSubmatch(js, -1) {
		if _, known := s.names[m[2]]; known || m[1] == "id" && !ulids.MatchString(m[2]) || s.placeholder(m[2]) {
			continue
		}
		kind := kinds[m[1]]
		s.count[kind]++
		s.names[m[2]] = fmt.Sprint(kind, s.count[kind])
		s.told = append(s.told, m[2])
	}
	for _, value := range s.told {
		js = strings.ReplaceAll(js, value, s.names[value])
	}
	return js
}

// placeholder is a value that the script itself made up.
func (s *script) placeholder(v string) bool { return len(v) < 10 }
