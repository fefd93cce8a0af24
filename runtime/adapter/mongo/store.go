package mongo

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// Store is a database. All methods may be called by many goroutines.
type Store struct {
	cfg       Config
	deps      Deps
	log       *slog.Logger
	client    *driver.Client
	hosts     []string
	encrypted bool   // connections are
	self      string // who sweeps

	events, rooms, members, markers, notes, rows, progress, marks, cells, blobs, meta *driver.Collection

	passed atomic.Pointer[map[string]int64] // by id of progress

	mu     sync.Mutex
	marked map[int]time.Time // when a partition's last mark was made here
	late   map[int]*behind   // by partition

	counters counters
}

// Connect makes the connections, and does not wait for them: Ping and Migrate tell
// whether they are of use.
func Connect(cfg Config, deps Deps) (*Store, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	client, err := driver.Connect(opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, deps: deps, log: deps.Logger, client: client, hosts: opts.Hosts, encrypted: opts.TLSConfig != nil,
		self: deps.Node + "/" + rand.Text(), marked: map[int]time.Time{}, late: map[int]*behind{},
	}
	s.passed.Store(&map[string]int64{})
	db := client.Database(cfg.Database)
	for name, c := range map[string]**driver.Collection{
		"events": &s.events, "rooms": &s.rooms, "members": &s.members, "markers": &s.markers, "notes": &s.notes, "rows": &s.rows,
		"progress": &s.progress, "marks": &s.marks, "cells": &s.cells, "blobs": &s.blobs, "meta": &s.meta,
	} {
		*c = db.Collection(name)
	}
	return s, nil
}

// Close writes what is behind, and ends the connections, or gives that up when ctx is
// done.
func (s *Store) Close(ctx context.Context) error {
	if err := s.Flush(ctx); err != nil {
		s.log.Warn("progress is behind what was kept: some of it will be kept again", "error", err)
	}
	return s.client.Disconnect(ctx)
}

// Ping asks the database for something; the error says what an operator has to look at.
func (s *Store) Ping(ctx context.Context) error {
	return s.explain(s.client.Database(s.cfg.Database).RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err())
}

// counters are of all collections.
type counters struct {
	reads, writes               observe.Histogram
	kept, conflicts, retries    atomic.Uint64
	trimmed, buried, tombstones atomic.Uint64
}

// Stats is what the store has done since the start.
type Stats struct {
	Reads, Writes observe.Summary // requests, and how long they took
	Kept          uint64          // events that were not there before
	Conflicts     uint64          // events in whose place others were
	Retries       uint64          // writes of rows that were made again, because somebody else wrote the same
	Trimmed       uint64          // rooms whose streams were cut
	Buried        uint64          // rooms that were removed after they were deleted
	Tombstones    uint64          // rows that were removed after they were deleted
}

// Stats reads the counters.
func (s *Store) Stats() Stats {
	c := &s.counters
	return Stats{
		Reads: c.reads.Summary(), Writes: c.writes.Summary(), Kept: c.kept.Load(), Conflicts: c.conflicts.Load(), Retries: c.retries.Load(),
		Trimmed: c.trimmed.Load(), Buried: c.buried.Load(), Tombstones: c.tombstones.Load(),
	}
}

// one reads a document; false if there is none.
func (s *Store) one(ctx context.Context, c *driver.Collection, id string, to any) (bool, error) {
	defer s.timed(&s.counters.reads)()
	raw, err := c.FindOne(ctx, byID(id)).Raw()
	switch {
	case err == driver.ErrNoDocuments: //nolint:errorlint // it is returned so
		return false, nil
	case err != nil:
		return false, wrap("read", err)
	}
	return true, unreadable(bson.Unmarshal(raw, to))
}

// each hands documents to a function until it returns false. They are valid only there.
func (s *Store) each(ctx context.Context, c *driver.Collection, filter bson.D, use func(bson.Raw) (bool, error), opts ...options.Lister[options.FindOptions]) error {
	defer s.timed(&s.counters.reads)()
	found, err := c.Find(ctx, filter, opts...)
	if err != nil {
		return wrap("read", err)
	}
	defer found.Close(context.WithoutCancel(ctx)) // an error leaves a cursor that times out
	for found.Next(ctx) {
		if more, err := use(found.Current); err != nil || !more {
			return unreadable(err)
		}
	}
	return wrap("read", found.Err())
}

// timed measures from its call to that of what it returns.
func (s *Store) timed(h *observe.Histogram) func() {
	start := time.Now()
	return func() { h.Observe(time.Since(start)) }
}

// ascending and descending are the orders of ids; a limit of 0 is none.
func ascending(limit int) *options.FindOptionsBuilder {
	return options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit))
}

func descending(limit int) *options.FindOptionsBuilder {
	return options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(int64(limit))
}
