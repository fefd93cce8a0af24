package plugin

import (
	"context"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/record"
)

// sample is a fixture's events, to be run again and again in its world, which stays as
// it is.
type sample struct {
	name     string
	program  *guest.Program
	manifest *manifest.Manifest
	world    *fixture.World
	records  []hostapi.Record
	full     [][]byte

	private, memory int     // bytes, at most
	reset           float64 // microseconds, after a call with one event; 0: it is not reset
}

func newSample(ctx context.Context, p *guest.Program, m *manifest.Manifest, f *fixture.Fixture) (*sample, error) {
	world, err := fixture.NewWorld(ctx, f)
	if err != nil {
		return nil, err
	}
	s := &sample{name: f.Name, program: p, manifest: m, world: world}
	shape := record.Of(m)
	for i := range f.Steps {
		if f.Steps[i].Fails != "" {
			continue
		}
		r, full := f.Steps[i].Event.Record(m, shape)
		if r.Time == 0 {
			r.Time = fixture.Beginning
		}
		s.records, s.full = append(s.records, r), append(s.full, full)
	}
	return s, nil
}

// batches are the events in calls of n, as far as these fit.
func (s *sample) batches(i *guest.Instance, n int) (out []guest.Call) {
	if n == 1 {
		for k := range s.records {
			out = append(out, guest.Call{Records: s.records[k : k+1], Full: s.full[k : k+1], Host: s.world})
		}
		return out
	}
	c := guest.Call{Host: s.world}
	for k := range n {
		c.Records, c.Full = append(c.Records, s.records[k%len(s.records)]), append(c.Full, s.full[k%len(s.records)])
	}
	fit := max(1, i.Fits(c.Records))
	return []guest.Call{{Records: c.Records[:fit], Full: c.Full[:fit], Host: s.world}}
}

// line measures calls of n events.
func (s *sample) line(ctx context.Context, n int, each time.Duration) line {
	l := line{Fixture: s.name, Batch: n}
	if err := s.fill(ctx, &l, n, each); err != nil {
		l.Failed = err.Error()
	}
	return l
}

func (s *sample) fill(ctx context.Context, l *line, n int, each time.Duration) error {
	i, err := s.program.New(ctx)
	if err != nil {
		return err
	}
	defer func() { i.Close() }()
	calls := s.batches(i, n)
	l.Batch = len(calls[0].Records)
	if err := s.count(ctx, calls, l); err != nil {
		return err
	}
	if l.Call, err = s.time(ctx, &i, calls, each, false); err != nil {
		return err
	}
	l.Event = l.Call
	if !stateless(s.manifest) {
		return nil
	}
	if err := s.renew(ctx, &i); err != nil { // the memory of a heap that has grown is not reset
		return err
	}
	if !i.CanReset() {
		return nil
	}
	if l.Event, err = s.time(ctx, &i, calls, each, true); err != nil {
		return err
	}
	if n == 1 {
		s.reset, err = s.resets(ctx, i, &calls[0])
	}
	return err
}

// count runs each call once, on an instance that has just begun.
func (s *sample) count(ctx context.Context, calls []guest.Call, l *line) error {
	var out guest.Output
	events, pages := 0, 0
	for k := range calls {
		i, err := s.program.New(ctx)
		if err != nil {
			return err
		}
		before, _ := i.Private() // 0 where it is not known
		s.world.Begin(ctx, calls[k].Records[0].Time)
		err = i.Run(&calls[k], &out)
		after, _ := i.Private()
		s.private, s.memory = max(s.private, after), max(s.memory, i.Memory())
		i.Close()
		if err != nil {
			return err
		}
		u := &out.Usage
		pages += max(0, after-before)
		events += len(calls[k].Records)
		l.Fuel, l.In, l.Out, l.Calls = l.Fuel+float64(u.Fuel), l.In+float64(u.In), l.Out+float64(u.Out), l.Calls+float64(u.HostCalls)
	}
	per := 1 / float64(events)
	l.Fuel, l.In, l.Out, l.Calls = l.Fuel*per, l.In*per, l.Out*per, l.Calls*per
	l.Pages = float64(pages) / 4096 / float64(len(calls))
	return nil
}

// resets is how many microseconds a reset takes after a call.
func (s *sample) resets(ctx context.Context, i *guest.Instance, c *guest.Call) (float64, error) {
	const rounds = 200
	var out guest.Output
	var took time.Duration
	n := 0
	for ; n < rounds && i.CanReset(); n++ {
		s.world.Begin(ctx, c.Records[0].Time)
		if err := i.Run(c, &out); err != nil {
			break // it has run before: a busy machine has taken its time away
		}
		began := time.Now()
		if err := i.Reset(); err != nil {
			return 0, err
		}
		took += time.Since(began)
	}
	return took.Seconds() * 1e6 / float64(max(1, n)), nil
}

// time is how many nanoseconds an event takes.
func (s *sample) time(ctx context.Context, i **guest.Instance, calls []guest.Call, each time.Duration, reset bool) (float64, error) {
	const round = 32  // calls between two looks at the clock
	const spared = 20 // rounds that a busy machine may spoil
	events, spoilt, took := 0, 0, time.Duration(0)
	for next := 0; took < each && ctx.Err() == nil; {
		if (*i).Memory() > int(s.manifest.Limits.Memory)/4*3 { // as nodes do, too
			if err := s.renew(ctx, i); err != nil {
				return 0, err
			}
		}
		began := time.Now()
		n, err := s.round(ctx, i, calls, next, round, reset)
		var trap *guest.Trap
		if errors.As(err, &trap) && trap.Reason == guest.TrapDeadline && spoilt < spared {
			spoilt++
			if err := s.renew(ctx, i); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, err
		}
		next, events, took = next+round, events+n, took+time.Since(began)
	}
	return float64(took.Nanoseconds()) / float64(max(1, events)), nil
}

// renew replaces an instance.
func (s *sample) renew(ctx context.Context, i **guest.Instance) error {
	fresh, err := s.program.New(ctx)
	if err == nil {
		(*i).Close()
		*i = fresh
	}
	return err
}

// round makes so many calls, and says how many events these had.
func (s *sample) round(ctx context.Context, i **guest.Instance, calls []guest.Call, from, n int, reset bool) (events int, err error) {
	var out guest.Output
	for k := from; k < from+n; k++ {
		c := &calls[k%len(calls)]
		s.world.Begin(ctx, c.Records[0].Time)
		if err := (*i).Run(c, &out); err != nil {
			return events, err
		}
		if reset && (!(*i).CanReset() || (*i).Reset() != nil) { // as nodes do, too
			if err := s.renew(ctx, i); err != nil {
				return events, err
			}
		}
		events += len(c.Records)
	}
	return events, nil
}
