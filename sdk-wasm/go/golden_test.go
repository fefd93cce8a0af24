package heddle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"
	"unsafe"
)

// golden is the contract's own folder of files that every SDK is checked against.
const golden = "../../hostapi/testdata/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(golden + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plug is a plugin as it is after heddle_init.
func plug(t testing.TB, register func(p *plugin)) *plugin {
	t.Helper()
	p := &plugin{}
	register(p)
	p.allocate()
	if st := p.initialise(copy(p.input, "{}")); st != OK {
		t.Fatal(st)
	}
	return p
}

// any has all hooks call one function.
func (p *plugin) any(f Func) {
	for h := Before; h < hooks; h++ {
		p.onHook(h, f)
	}
}

type goldenRecord struct {
	Hook                                   Hook
	Codec                                  Codec
	Flags                                  uint32
	Attempt                                int
	Sequence, Connection                   uint64
	Time                                   int64
	Tenant, User, Device, Room, Action, ID string
	Attributes                             []goldenAttr
	Payload                                []byte
	Whole                                  int
}

type goldenAttr struct {
	Name  string
	Type  AttrType
	Int   int64
	Float float64
	Text  []byte
}

func TestGoldenRecords(t *testing.T) {
	var want []goldenRecord
	if err := json.Unmarshal(read(t, "records.json"), &want); err != nil {
		t.Fatal(err)
	}
	seen := 0
	p := plug(t, func(p *plugin) {
		p.any(func(e *Event) error {
			checkEvent(t, e, &want[seen])
			seen++
			return nil
		})
	})
	copy(p.input, read(t, "records.bin"))
	if n := p.batch(len(want)); n != 0 || seen != len(want) {
		t.Errorf("%d bytes of output, %d of %d events", n, seen, len(want))
	}
}

func checkEvent(t *testing.T, e *Event, w *goldenRecord) {
	t.Helper()
	got := goldenRecord{
		Hook: e.Hook(), Codec: e.Codec(), Flags: w.Flags, Attempt: e.Attempt(), Sequence: e.Sequence(), Connection: e.Connection(), Time: e.Time(),
		Tenant: e.Tenant(), User: e.User(), Device: e.Device(), Room: e.Room(), Action: e.Action(), ID: e.ID(),
		Payload: e.Payload(), Whole: e.PayloadSize(),
	}
	a, _ := json.Marshal(got)
	attrs := w.Attributes
	w.Attributes = nil
	if len(w.Payload) == 0 {
		w.Payload = []byte{}
	}
	if b, _ := json.Marshal(w); !bytes.Equal(a, b) {
		t.Errorf("\n got %s\nwant %s", a, b)
	}
	if e.Durable() != (w.Flags&1 != 0) || e.Prefix() != (w.Flags&2 != 0) || e.Server() != (w.Flags&4 != 0) {
		t.Errorf("flags %b are durable %t prefix %t server %t", w.Flags, e.Durable(), e.Prefix(), e.Server())
	}
	n := 0
	for a := range e.Attrs() {
		checkAttr(t, a, attrs[n])
		checkAttr(t, e.Attr(attrs[n].Name), attrs[n])
		n++
	}
	if n != len(attrs) {
		t.Errorf("%d attributes of %d", n, len(attrs))
	}
}

func checkAttr(t *testing.T, a Attr, w goldenAttr) {
	t.Helper()
	number := w.Float
	if w.Type == AttrInt {
		number = float64(w.Int)
	}
	ok := a.Name() == w.Name && a.Type() == w.Type && a.Float() == number
	switch w.Type {
	case AttrBool:
		ok = ok && a.Bool() == (w.Int != 0) && a.Int() == 0
	case AttrText:
		ok = ok && a.Text() == string(w.Text) && a.JSON() == nil
	case AttrJSON:
		ok = ok && bytes.Equal(a.JSON(), w.Text) && a.Text() == ""
	default:
		ok = ok && a.Int() == w.Int && !a.Bool() && a.Text() == ""
	}
	if !ok {
		t.Errorf("attribute %s is not %+v", a.Name(), w)
	}
}

func TestGoldenActions(t *testing.T) {
	about := func(e *Event, record uint16) *Event { return &Event{r: e.r, out: e.out, index: record} }
	p := plug(t, func(p *plugin) {
		p.on("message:send", func(e *Event) error {
			for i, err := range []error{
				e.Pass(),
				about(e, 1).Invalid("data.text: too long"),
				e.Replace([]byte(`{"text":"***"}`)),
				e.SetAttr("lang", []byte(`"fr"`)),
				about(e, 2).Emit("conv:1", "order:created", []byte(`{"id":1}`), Durable()),
				e.Emit("user:bob", "order:seen", []byte(`{}`), ToDevice("phone")),
				e.Route("conv:eu"),
				e.Respond(202, "application/json", []byte(`{"ok":true}`)),
				e.HTTP(HTTP{Method: "POST", URL: "https://example.com/x", Headers: "content-type: text/plain", Body: []byte("hi"), Tag: "42", Timeout: 1500 * time.Millisecond}),
				e.SetTimer("nightly", time.Hour, []byte(`{"n":1}`)),
				e.CancelTimer("nightly"),
			} {
				if err != nil {
					t.Errorf("action %d: %v", i, err)
				}
			}
			return nil
		})
	})
	copy(p.input, read(t, "records.bin"))
	for i := range p.output.arena {
		p.output.arena[i] = 0xaa // what was there before must not show
	}
	n := p.batch(1)
	if got, want := p.output.arena[:max(n, 0)], read(t, "actions.bin"); !bytes.Equal(got, want) {
		t.Errorf("\n got %s\nwant %s", hex.Dump(got), hex.Dump(want))
	}
}

func TestLayout(t *testing.T) {
	var r record
	var a action
	if unsafe.Sizeof(r) != 112 || unsafe.Offsetof(r.refs) != 48 || unsafe.Sizeof(a) != 56 || unsafe.Offsetof(a.refs) != 24 || unsafe.Sizeof(attribute{}) != 16 {
		t.Error("the structs are not the contract's")
	}
}
