package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// What thousands of deploys may leave behind, beside the versions that are kept.
const (
	deploysGoroutines = 8
	deploysFiles      = 16
	deploysHeap       = 24 << 20
)

// numbered is a module that no other one is like: it gives each event the number of its
// version.
func numbered(n int) []byte {
	return raw{Actions: []hostapi.Action{{Kind: hostapi.SetAttr, A: []byte("version"), B: []byte(fmt.Sprint(n))}}}.Module()
}

// TestManyDeploys has two thousand versions of a plugin put in place while events flow that
// it is asked about: none is lost, none happens twice, each was seen by one version, and
// the node holds no more than before.
func TestManyDeploys(t *testing.T) {
	deploys := 2000
	if testing.Short() || raceEnabled {
		deploys = 100
	}
	r := newRaid(t)
	// The module answers for the first event of a call alone, and no user has two under way.
	more := unhurried + "one_user: true\nbindings: [{rooms: [\"channel:flow*\"]}]\n"
	for i := range 50 { // caches and pools have their size
		r.placed(t, "swap", numbered(i), more)
	}
	r.peace(t, 5)
	before := held()
	var over atomic.Bool
	var senders sync.WaitGroup
	acked := make([]int, 4)
	var events atomic.Int64 // of all of them
	for s := range acked {
		c := r.open(t, dial{user: fmt.Sprint("s", s)})
		c.do("room:join", fmt.Sprint("channel:flow", s), "{}")
		senders.Go(func() { // ends with over
			defer c.drop()
			for !over.Load() && !t.Failed() {
				c.send1(fmt.Sprint("channel:flow", s), fmt.Sprint(s, "-", acked[s]), fmt.Sprint(acked[s]))
				acked[s]++
				events.Add(1)
			}
		})
	}
	began := time.Now()
	for i := range deploys {
		r.placed(t, "swap", numbered(1000+i), more)
		if i%4 == 3 { // the deploys may be quicker than the events
			eventually(t, "events go on", func() bool { return t.Failed() || events.Load() > int64(i/4) })
		}
	}
	took := time.Since(began)
	over.Store(true)
	senders.Wait()
	total, versions := 0, map[string]bool{}
	for s, n := range acked {
		total += n
		list := r.records("acme", fmt.Sprint("channel:flow", s))
		slices.Reverse(list) // the oldest first
		if len(list) != n {
			t.Errorf("%d events of sender %d are stored, %d were acked", len(list), s, n)
		}
		for i := range list {
			var data struct {
				Text       string
				Attributes struct{ Version json.Number }
			}
			if err := json.Unmarshal(list[i].Data, &data); err != nil {
				t.Fatal(err)
			}
			if list[i].Key != fmt.Sprint(s, "-", i) || data.Text != fmt.Sprint(i) || data.Attributes.Version == "" {
				t.Fatalf("event %d of sender %d is %s %s", i, s, list[i].Key, list[i].Data)
			}
			versions[data.Attributes.Version.String()] = true
		}
	}
	var now level
	eventually(t, "the node holds what it held before", func() bool {
		now = held()
		return now.goroutines <= before.goroutines+deploysGoroutines && now.files <= before.files+deploysFiles && now.heap <= before.heap+deploysHeap
	})
	files, size := folder(filepath.Join(r.dir, "compiled"))
	t.Logf("%d deploys in %v, %d events by %d versions; %+v, before %+v; %d files of compiled code with %d KiB", deploys, took, total, len(versions), now, before, files, size>>10)
	if total < deploys/4 || len(versions) < deploys/20 {
		t.Errorf("only %d events, by %d versions", total, len(versions))
	}
	if n := len(r.acme.must("GET", "plugins/swap", "").Versions); n > 12 {
		t.Errorf("%d versions are kept", n)
	}
	r.calm(t)
}

// folder is how many files there are, and their bytes.
func folder(root string) (files int, size int64) {
	_ = filepath.WalkDir(root, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil {
			files++
			size += info.Size()
		}
		return nil
	})
	return files, size
}
