package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// Group is a worker.Log: the consumer group in which workers share the topic's
// partitions. What the group has committed is for the eyes of operators and their tools;
// where a partition is read from is for the worker to say.
type Group struct {
	log  *Log
	name string
}

// NewGroup is of a log that need not be opened.
func NewGroup(l *Log) *Group {
	return &Group{log: l, name: l.cfg.Topic + ".workers"}
}

const (
	// session is how long a member may be silent before its partitions go to others.
	session = 15 * time.Second
	// heartbeat is how long it may take until a member knows that another has come.
	heartbeat = time.Second
	// committing is how often progress is told to the group, and its lag looked at.
	committing = time.Second
	// asking bounds what is said to the group now and then, leaving what is at the end.
	asking  = 5 * time.Second
	leaving = 15 * time.Second
)

// membership is the time from a Consume to its end.
type membership struct {
	*Group
	ctx    context.Context // Consume's
	serve  func(context.Context, worker.Partition)
	reader *reader
	fallen rate.Sometimes // out of the group: told in the log

	mu   sync.Mutex
	held map[int32]*tenure
}

// tenure is the time for which a partition is a member's.
type tenure struct {
	*stream
	cancel context.CancelFunc
	over   chan struct{} // closed when serve has returned
}

// Consume implements worker.Log. It owns the goroutines on which partitions are served,
// and that of the reader; all have ended when it returns.
func (g *Group) Consume(ctx context.Context, serve func(context.Context, worker.Partition)) error {
	r, err := newReader(g.log)
	if err != nil {
		return err
	}
	m := &membership{Group: g, ctx: ctx, serve: serve, reader: r, fallen: rate.Sometimes{Interval: time.Minute}, held: map[int32]*tenure{}}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.run(reading)
	}()
	defer func() {
		stop()
		<-over
	}()
	client, err := kgo.NewClient(append(g.log.options[:len(g.log.options):len(g.log.options)],
		kgo.ConsumerGroup(g.name),
		kgo.ConsumeTopics(g.log.cfg.Topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(session),
		kgo.RebalanceTimeout(session), // a member that has died holds up the others for no longer
		kgo.HeartbeatInterval(heartbeat),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(m.assigned),
		kgo.OnPartitionsRevoked(m.revoked),
		kgo.OnPartitionsLost(m.lost),
		kgo.WithHooks(m),
	)...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	client.PauseFetchTopics(g.log.cfg.Topic) // the reader reads
	m.follow(client)
	leave, cancel := context.WithTimeout(reading, leaving)
	defer cancel()
	_ = client.LeaveGroupContext(leave) // has revoked called; the group notices in the end if it is not told
	client.Close()
	m.end(m.all())
	return nil
}

// follow tells the group how far its partitions are, until Consume is to end.
func (m *membership) follow(client *kgo.Client) {
	tick := time.NewTicker(committing)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ctx, cancel := context.WithTimeout(m.ctx, asking)
			m.commit(ctx, client, m.all())
			m.measure(ctx, client)
			cancel()
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *membership) assigned(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range topics[m.log.cfg.Topic] {
		ctx, cancel := context.WithCancel(m.ctx)
		t := &tenure{stream: newStream(m.reader, n), cancel: cancel, over: make(chan struct{})}
		m.held[n] = t
		go func() { // ends with ctx
			defer close(t.over)
			m.serve(ctx, t.stream)
			t.close()
		}()
	}
}

func (m *membership) revoked(ctx context.Context, client *kgo.Client, topics map[string][]int32) {
	gone := m.take(topics)
	m.end(gone)
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	m.commit(ctx, client, gone)
}

// lost is of partitions that others may have already: nothing is committed.
func (m *membership) lost(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.end(m.take(topics))
}

// OnGroupManageError is a hook of the client, which then tries again.
func (m *membership) OnGroupManageError(err error) {
	if m.ctx.Err() == nil {
		m.fallen.Do(func() {
			m.log.deps.Logger.Warn("the worker is not in its group, and joins again", "group", m.name, "error", err)
		})
	}
}

func (m *membership) take(topics map[string][]int32) (gone []*tenure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range topics[m.log.cfg.Topic] {
		if t := m.held[n]; t != nil {
			gone = append(gone, t)
			delete(m.held, n)
		}
	}
	return gone
}

func (m *membership) all() (held []*tenure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.held {
		held = append(held, t)
	}
	return held
}

// end waits until partitions are not served any more.
func (m *membership) end(gone []*tenure) {
	for _, t := range gone {
		t.cancel()
	}
	for _, t := range gone {
		<-t.over
	}
}

// commit tells the group what has been passed since it was told last.
func (m *membership) commit(ctx context.Context, client *kgo.Client, held []*tenure) {
	offsets := map[int32]kgo.EpochOffset{}
	for _, t := range held {
		if at, news := t.news(); news {
			offsets[t.number] = kgo.EpochOffset{Epoch: -1, Offset: at}
		}
	}
	if len(offsets) > 0 {
		// What is not told now is told with what comes next; nobody reads from there.
		client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{m.log.cfg.Topic: offsets}, nil)
	}
}

// measure looks where the partitions end.
func (m *membership) measure(ctx context.Context, client *kgo.Client) {
	held := m.all()
	if len(held) == 0 {
		return
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, m.log.cfg.Topic)
	if err != nil {
		return // the brokers are away; the reader says so
	}
	for _, t := range held {
		if e, ok := ends.Lookup(m.log.cfg.Topic, t.number); ok && e.Err == nil {
			t.ends(e.Offset)
		}
	}
}

// Read implements worker.Log.
func (g *Group) Read(ctx context.Context, partition int, from worker.Mark, to int64, use func(worker.Event) error) error {
	first, _, err := g.log.bounds(ctx, partition)
	if err != nil {
		return err
	}
	at := place{Mark: Mark(from)}
	at.skip(first)
	return g.log.read(ctx, int32(partition), at.Offset, to, func(rec *kgo.Record) error {
		e, what, err := at.take(rec)
		switch {
		case what == counting:
			return use(e)
		case what == beyond:
			return err
		}
		return nil
	})
}
