package tail

import (
	"fmt"
	"testing"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/runtime/event"
)

func benchRecord(id string, n uint64, action, data string) event.Record {
	return event.Record{Key: "k1", Unread: true, Messages: n, Envelope: event.Envelope{
		Type: event.TypeMessage, ID: "01JABCDEFGHJKMNPQRSTVWXYZ0", Tenant: tenant, Room: id, Position: event.Position{Epoch: "e1", Offset: n},
		From: event.Sender{User: fmt.Sprintf("u%d", n%50), Device: "phone"}, Action: action, Data: []byte(data), Timestamp: 1_000_000,
	}}
}

// BenchmarkApply: one record, which the base has some thousand records later.
func BenchmarkApply(b *testing.B) {
	for name, data := range map[string]string{
		"message:send":  fmt.Sprintf(`{"text":"%0250d"}`, 0),
		"message:react": `{"offset":1,"key":"+"}`,
		"message:edit":  `{"offset":1,"version":1,"text":"better"}`,
	} {
		b.Run(name, func(b *testing.B) {
			t := New(Default(), Deps{Projections: builtin.Projections()})
			const rooms = 1000
			var records [rooms]event.Record
			for i := range records {
				records[i] = benchRecord(fmt.Sprintf("conv:%d", i), 0, name, data)
			}
			b.ReportAllocs()
			at := []int64{0}
			for n := 0; b.Loop(); n++ {
				i := n % rooms
				records[i].Offset++
				at[0] = int64(n)
				t.Apply(records[i:i+1], at)
				if n%100 == 0 {
					t.Trim(int64(n - 5000))
				}
			}
		})
	}
}

// BenchmarkRead: what a session asks for when it opens, in memory.
func BenchmarkRead(b *testing.B) {
	t := New(Default(), Deps{Projections: builtin.Projections()})
	const rooms = 1000
	var names [rooms]string
	for i := range rooms {
		names[i] = fmt.Sprintf("conv:%d", i)
		records := []event.Record{benchRecord(names[i], 1, "room:create", `{"members":["u1","u2","u3"]}`), benchRecord(names[i], 2, "message:send", `{"text":"hello"}`)}
		t.Apply(records, []int64{int64(2 * i), int64(2*i + 1)})
	}
	ctx := b.Context()
	for name, read := range map[string]func(id string) error{
		"Head":     func(id string) error { _, err := t.Head(ctx, tenant, id); return err },
		"Member":   func(id string) error { _, _, err := t.Member(ctx, tenant, id, "u1"); return err },
		"Sent":     func(id string) error { _, err := t.Sent(ctx, tenant, "u1", id); return err },
		"Before50": func(id string) error { _, err := t.Before(ctx, tenant, id, 0, 50, 1<<20); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					if err := read(names[n%rooms]); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
