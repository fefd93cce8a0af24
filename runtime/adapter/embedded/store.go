package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Store is the database of a node. All methods may be called by many goroutines.
type Store struct {
	cfg      Config
	deps     Deps
	fs       vfs.FS
	log      *slog.Logger
	lock     *pebble.Lock
	db       *pebble.DB
	unsynced *unsynced
	recent   *recent
	window   window
	usage    usage
	counters counters

	mu   sync.Mutex
	open map[int]*partition // by number, the newest term

	dead  atomic.Pointer[error] // set when the disk has failed
	full  atomic.Bool
	free  atomic.Uint64
	late  chan struct{} // holds one if cells are not on disk
	swaps sync.RWMutex  // held while cells are written; alone while some are compared, too
	sweep sweep         // Run's
}

// Open opens or makes the database in cfg.Dir. The errors say what an operator
// has to know: the directory is in use, is not Heddle's, or is of a newer format.
func Open(cfg Config, deps Deps) (*Store, error) {
	if deps.Fatal == nil {
		return nil, errors.New("embedded: Fatal is needed")
	}
	if cfg.Dir == "" || cfg.Window <= 0 || cfg.SweepInterval <= 0 || cfg.SweepRooms < 1 || cfg.MemTable < 1<<16 {
		return nil, errors.New("embedded: dir, window, sweep_interval, sweep_rooms and mem_table must be set")
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg, deps: deps, fs: deps.FS, log: deps.Logger,
		unsynced: newUnsynced(), recent: newRecent(), open: map[int]*partition{}, late: make(chan struct{}, 1),
	}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	lock, err := claim(s.fs, cfg.Dir)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	if s.db, err = pebble.Open(cfg.Dir, s.options(lock)); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("embedded: cannot open %s: %w", cfg.Dir, err)
	}
	if err := s.window.restore(s); err != nil {
		_ = s.Close()
		return nil, err
	}
	if err := s.usage.restore(s); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.sampleSpace()
	return s, nil
}

// Close flushes and releases the directory. Nobody may use the store any more.
func (s *Store) Close() error {
	err := s.db.Close()
	if unlock := s.lock.Close(); err == nil {
		err = unlock
	}
	return err
}

// die reports the first failure of the disk. Nothing is confirmed after it.
func (s *Store) die(err error) {
	if s.dead.CompareAndSwap(nil, &err) {
		s.log.Error("the disk has failed, the process must end", "error", err)
		s.deps.Fatal(err)
	}
}

// alive is nil until the disk has failed.
func (s *Store) alive() error {
	if p := s.dead.Load(); p != nil {
		return fault.Wrap("embedded", fault.Unavailable, *p)
	}
	return nil
}

// Space reports whether there is room for more events: false from when less than
// Config.MinFree is free until an eighth more than that is.
func (s *Store) Space() bool { return !s.full.Load() }

// FreeBytes is the free space of the directory's file system, as of the last
// check; 0 if it is not known.
func (s *Store) FreeBytes() uint64 { return s.free.Load() }

func (s *Store) sampleSpace() {
	usage, err := s.fs.GetDiskUsage(s.cfg.Dir)
	if err != nil {
		return // the file system does not say; Pebble ends the process when it is full
	}
	s.free.Store(usage.AvailBytes)
	low := uint64(s.cfg.MinFree)
	was := s.full.Load()
	is := usage.AvailBytes < low || (was && usage.AvailBytes < low+low/8)
	if s.full.Store(is); is != was {
		s.log.Warn("free space crossed its watermark", "free", usage.AvailBytes, "min", low, "accepting", !is)
	}
}

// get reads one row and hands it to use, which must not keep it; false if there
// is none.
func (s *Store) get(key []byte, use func(value []byte) error) (bool, error) {
	if err := s.alive(); err != nil {
		return false, err
	}
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	err = use(value)
	if closed := closer.Close(); err == nil {
		err = closed
	}
	return err == nil, fault.Wrap("embedded.read", fault.Internal, err)
}

// apply makes a batch durable before it returns.
func (s *Store) apply(b *pebble.Batch, sync *pebble.WriteOptions) (err error) {
	if err := s.alive(); err != nil {
		return err
	}
	defer s.contain(&err)
	if err := s.db.Apply(b, sync); err != nil {
		return fault.Wrap("embedded.write", fault.Unavailable, err)
	}
	return b.Close()
}

// contain turns a panic of Pebble's, which is how it reports that its log cannot
// be written, into the end of the process.
func (s *Store) contain(err *error) {
	if r := recover(); r != nil {
		s.die(fmt.Errorf("embedded: %v", r))
		*err = s.alive()
	}
}

// Stats is what the store has done since it was opened.
type Stats struct {
	BackgroundErrors uint64 // failed flushes and compactions
	SlowWrites       uint64 // writes that took seconds
	Stalls           uint64 // times that writes waited for flushes or compactions
	Trimmed          uint64 // rooms whose stream was cut by retention
	Expired          uint64 // sessions that were deleted
	DiskBytes        uint64
	MemTableBytes    uint64
	Compactions      int64
	ReadAmp          int // tables and sublevels that a read may look at
}

// Stats reads the counters; it costs some microseconds.
func (s *Store) Stats() Stats {
	m := s.db.Metrics()
	c := &s.counters
	return Stats{
		BackgroundErrors: c.backgroundErrors.Load(), SlowWrites: c.slowWrites.Load(), Stalls: c.stalls.Load(),
		Trimmed: c.trimmed.Load(), Expired: c.expired.Load(),
		DiskBytes: m.DiskSpaceUsage(), MemTableBytes: m.MemTable.Size, Compactions: m.Compact.Count, ReadAmp: m.ReadAmp(),
	}
}

// nextTerm counts the openings of a partition, durably.
func (s *Store) nextTerm(number int) (uint64, error) {
	key := appendTermKey(nil, number)
	var term uint64
	_, err := s.get(key, func(v []byte) error {
		d := codec.Decode(v)
		term = d.Uvarint()
		return d.Done()
	})
	if err != nil {
		return 0, err
	}
	term++
	b := s.db.NewBatch()
	_ = b.Set(key, binary.AppendUvarint([]byte{codec.Version}, term), nil)
	return term, s.apply(b, pebble.Sync)
}

// Run checks free space, trims streams, and drops old keys and sessions, until
// ctx ends. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	var cells sync.WaitGroup
	cells.Go(func() { s.syncCells(ctx) }) // ends with ctx
	defer cells.Wait()
	tick := time.NewTicker(s.cfg.SweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sampleSpace()
			if err := s.sweepOnce(); err != nil && s.alive() == nil {
				s.log.Error("sweep failed", "error", err)
			}
		}
	}
}
