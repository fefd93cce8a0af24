package engineio

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// recorder is a Handler that keeps what it gets, as the packets of a payload.
type recorder struct {
	*app
	packets [][]byte
}

func (r *recorder) Frame(_ *Conn, p []byte, binary bool) {
	if binary {
		r.packets = append(r.packets, base64.StdEncoding.AppendEncode([]byte{'b'}, p))
		return
	}
	r.packets = append(r.packets, append([]byte{'4'}, p...))
}

// budget is Sockets without a server.
type budget struct{ *socket.Server }

func (budget) Hold(int64)     {}
func (budget) Shedding() bool { return false }

// FuzzPayload gives payloads to a connection, and sends back what it makes of them.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{"4hello\x1ebAQIDBA==", "4", "b", "", "\x1e", "3\x1e6\x1e1\x1e4a", "4\xff", "b====", "bA\n==", "2probe", "5",
		strings.Repeat("\x1e", maxPackets)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r := &recorder{app: newApp()}
		s, err := New(defaults[Config](t), Deps{Sockets: budget{}, Queue: defaults[socket.Config](t).Queue, CloseTimeout: patience,
			Endpoints: []Endpoint{{Path: "/x/", Handler: r}}})
		if err != nil {
			t.Fatal(err)
		}
		c := s.newConn(s.points["/x/"], &socket.Handshake{}, nil)
		c.p = &polled{wake: make(chan struct{}, 1)}
		s.register(c)
		before := bytes.Clone(payload)
		refused := c.take(payload)
		if !bytes.Equal(before, payload) {
			t.Fatal("the payload was changed")
		}
		if !utf8.Valid(payload) && (refused == nil || len(r.packets) > 0) {
			t.Fatal("not UTF-8")
		}
		var want [][]byte
		bad := !utf8.Valid(payload) || bytes.Count(payload, []byte{separator}) >= maxPackets
		for p := range bytes.SplitSeq(payload, []byte{separator}) {
			if bad || len(p) == 0 || !strings.ContainsRune("4b316", rune(p[0])) {
				bad = true
				break
			}
			if p[0] == '1' {
				break
			}
			if p[0] == 'b' {
				raw, err := base64.StdEncoding.DecodeString(string(p[1:]))
				if bad = err != nil; bad {
					break
				}
				p = base64.StdEncoding.AppendEncode([]byte{'b'}, raw)
			}
			if p[0] == '4' || p[0] == 'b' {
				want = append(want, p)
			}
		}
		if bad != (refused != nil) || !bytes.Equal(bytes.Join(want, nil), bytes.Join(r.packets, nil)) {
			t.Fatalf("%q: refused %v, got %q", payload, refused, r.packets)
		}
		var a answer
		for _, p := range r.packets {
			fr := text(string(p), frame.Durable, "")
			if p[0] == 'b' {
				raw, _ := base64.StdEncoding.DecodeString(string(p[1:]))
				fr = frame.Finish(append(frame.Begin(len(raw)), raw...), true, frame.Durable, "")
			}
			a.size += encodedSize(fr, false)
			a.frames = append(a.frames, fr)
		}
		if out := a.append(nil, false); !bytes.Equal(out, bytes.Join(r.packets, []byte{separator})) || len(out) > a.size {
			t.Fatalf("sent back %q, of %d bytes at most", out, a.size)
		}
		c.end(ending{cause: errGone, now: true})
		s.live.Wait()
	})
}

func TestSizesAreExact(t *testing.T) {
	for n := range 200 {
		for _, f := range []*frame.Frame{
			text(strings.Repeat("x", n), frame.Durable, ""),
			frame.Finish(append(frame.Begin(n), make([]byte, n)...), true, frame.Durable, ""),
			frame.Join(text("a", frame.Durable, ""), frame.Finish(append(frame.Begin(n), make([]byte, n)...), true, frame.Durable, "")),
		} {
			for _, bare := range []bool{false, true} {
				behind := appendFrame([]byte("6"), f, bare)
				if got := len(behind) - 1; got != encodedSize(f, bare) {
					t.Fatalf("%d bytes, bare %t: %d, not %d", n, bare, got, encodedSize(f, bare))
				}
			}
		}
	}
}
