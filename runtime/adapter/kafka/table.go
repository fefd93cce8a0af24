package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Table gets the events that count, in their order, with their offsets in Kafka: first
// those that Open has read, then those that are committed, before their Wait returns.
// It must not keep the slices.
type Table interface {
	Apply(records []event.Record, at []int64)
}

// Table is what Deps.Tables has given for this term.
func (p *Partition) Table() Table { return p.table }

// readAtOnce is how many events that were read a table gets together.
const readAtOnce = 512

// taken collects for a table what is read.
type taken struct {
	table   Table
	records []event.Record
	at      []int64
}

func (t *taken) add(r *event.Record, at int64) {
	if t.table == nil {
		return
	}
	t.records, t.at = append(t.records, *r), append(t.at, at)
	if len(t.records) == readAtOnce {
		t.flush()
	}
}

func (t *taken) flush() {
	if len(t.records) > 0 {
		t.table.Apply(t.records, t.at)
		t.records, t.at = t.records[:0], t.at[:0]
	}
}

// apply gives the table a batch.
func (p *Partition) apply(batch []event.Record, sent []kgo.Record) {
	if p.table == nil {
		return
	}
	p.at = p.at[:0]
	for i := range sent {
		p.at = append(p.at, sent[i].Offset)
	}
	p.table.Apply(batch, p.at)
}

// Last asks the brokers whether this term is the last one that has begun. It fails with
// sequence.ErrSuperseded in its chain if it is not.
func (p *Partition) Last(ctx context.Context) error {
	p.mu.Lock()
	next, dead := p.next, p.dead
	p.mu.Unlock()
	if dead != nil {
		return dead
	}
	ends, err := kadm.NewClient(p.log.client).ListEndOffsets(ctx, p.log.cfg.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: end of partition %d: %w", p.number, err)
	}
	end, _ := ends.Lookup(p.log.cfg.Topic, p.number)
	return p.look(ctx, next, end.Offset)
}

var _ sequence.Partition = (*Partition)(nil)
