package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// options fits Pebble to a log: almost every write is new, almost every lookup is
// of a key that does not exist, and what is read is recent.
func (s *Store) options(lock *pebble.Lock) *pebble.Options {
	o := &pebble.Options{
		FS: s.deps.FS, // nil lets Pebble watch its own
		// The on-disk format is raised deliberately, not by an upgrade of the library.
		FormatMajorVersion: pebble.FormatValueSeparation,
		Lock:               lock,
		Logger:             pebbleLogger{s},
		CacheSize:          int64(s.cfg.CacheSize),
		MemTableSize:       uint64(s.cfg.MemTable),
		// A burst is taken in memory while one table is flushed; above it writes stall,
		// and the committer's queues push back.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                4096,
		BytesPerSync:                1 << 20,
		// The log is synced all the time; this only keeps large unsynced stretches
		// (sweeps) from piling up in front of a sync.
		WALBytesPerSync: 1 << 20,
		CompactionConcurrencyRange: func() (int, int) {
			return 1, max(1, runtime.GOMAXPROCS(0)/2)
		},
		EventListener: s.events(),
	}
	o.TargetFileSizes[0] = 8 << 20
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize = 16 << 10
		// Ten bits a key: a lookup of a key that does not exist reads no block of 99 in
		// 100 tables.
		l.FilterPolicy = bloom.FilterPolicy(10)
		// Recent data is rewritten soon: compressing it would cost more than it saves.
		l.Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		if i >= 4 {
			l.Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
		}
	}
	return o
}

// events logs what an operator should know, and counts it.
func (s *Store) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			s.counters.backgroundErrors.Add(1)
			s.log.Error("flush or compaction failed, it will be tried again", "error", err)
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.log.Error("data is corrupt", "path", i.Path, "error", i.Details)
		},
		DiskSlow: func(i pebble.DiskSlowInfo) {
			s.counters.slowWrites.Add(1)
			s.log.Warn("disk is slow", "path", i.Path, "operation", i.OpType.String(), "took", i.Duration)
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			s.counters.stalls.Add(1)
			s.log.Warn("writes wait for the disk", "reason", i.Reason)
		},
		WriteStallEnd: func() { s.log.Info("writes go on") },
	}
}

// counters of what Pebble reports.
type counters struct {
	backgroundErrors, slowWrites, stalls atomic.Uint64
	trimmed, expired                     atomic.Uint64
}

// pebbleLogger is Pebble's way to the log.
type pebbleLogger struct{ s *Store }

func (l pebbleLogger) Infof(format string, args ...any) {
	if l.s.log.Enabled(context.Background(), slog.LevelDebug) {
		l.s.log.Debug(fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.s.log.Error(fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble calls it where it cannot go on. The goroutine
// stays here, so that whatever it was about to confirm is never confirmed, until
// Deps.Fatal has ended the process.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.s.die(fmt.Errorf(format, args...))
	select {}
}
