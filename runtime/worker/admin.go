package worker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

// Shown is a dead letter as operators see it.
type Shown struct {
	ID        string          `json:"id"`
	Time      int64           `json:"time"` // when it was refused, Unix milliseconds
	Tenant    string          `json:"tenant"`
	Room      string          `json:"room"`
	Epoch     string          `json:"epoch"`
	Offset    uint64          `json:"offset"`
	User      string          `json:"user,omitempty"`
	Action    string          `json:"action"`
	Data      json.RawMessage `json:"data,omitempty"`
	Partition int             `json:"partition"`
	LogOffset int64           `json:"log_offset"`
	Record    []byte          `json:"record"` // of the log, as it was
	Reason    string          `json:"reason"`
}

// Page is a list of dead letters, the oldest first.
type Page struct {
	Letters []Shown `json:"letters"`
	More    bool    `json:"more,omitempty"` // there are
}

// Outcome is what a replay has come to.
type Outcome struct {
	ID       string `json:"id"`
	Replayed bool   `json:"replayed"` // and the letter is done
	Reason   string `json:"reason,omitempty"`
}

const (
	defaultPage = 100
	// MaxPage is how many letters are listed, or replayed, at once.
	MaxPage = 1000
)

// Routes are the handlers of the admin server, by pattern.
func (w *Worker) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /worker/dlq":         http.HandlerFunc(w.list),
		"POST /worker/dlq/replay": http.HandlerFunc(w.replay),
	}
}

// errEnough ends a list.
var errEnough = errors.New("enough")

func (w *Worker) list(rw http.ResponseWriter, r *http.Request) {
	q, limit := r.URL.Query(), defaultPage
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MaxPage {
			http.Error(rw, "limit is a number from 1 to "+strconv.Itoa(MaxPage), http.StatusBadRequest)
			return
		}
	}
	tenant, page := q.Get("tenant"), Page{Letters: []Shown{}}
	err := w.deps.Letters.All(r.Context(), func(l *Letter) error {
		switch {
		case tenant != "" && l.Tenant != tenant:
		case len(page.Letters) == limit:
			page.More = true
			return errEnough
		default:
			page.Letters = append(page.Letters, show(l))
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer(rw, page)
}

func show(l *Letter) Shown {
	s := Shown{
		ID: l.ID(), Time: l.Time, Tenant: l.Tenant, Room: l.Room, Epoch: l.Epoch, Offset: l.Offset, User: l.From.User, Action: l.Action,
		Partition: l.Partition, LogOffset: l.At, Record: l.Raw, Reason: l.Reason,
	}
	if json.Valid(l.Data) {
		s.Data = l.Data
	}
	return s
}

// replay has the letters with these ids kept, and takes those off that are.
func (w *Worker) replay(rw http.ResponseWriter, r *http.Request) {
	ids := r.URL.Query()["id"]
	if len(ids) == 0 || len(ids) > MaxPage {
		http.Error(rw, "want id, from 1 to "+strconv.Itoa(MaxPage)+" times", http.StatusBadRequest)
		return
	}
	outcomes := []Outcome{}
	err := w.deps.Letters.All(r.Context(), func(l *Letter) error {
		at := slices.Index(ids, l.ID())
		if at < 0 {
			return nil
		}
		ids = slices.Delete(ids, at, at+1)
		o := Outcome{ID: l.ID(), Replayed: true}
		if err := w.again(r.Context(), l); err != nil {
			o = Outcome{ID: l.ID(), Reason: err.Error()}
			w.deps.Logger.Warn("a dead letter was refused again", "id", o.ID, "error", err)
		}
		outcomes = append(outcomes, o)
		return r.Context().Err()
	})
	for _, id := range ids {
		o := Outcome{ID: id, Reason: "there is no such letter"}
		if err != nil {
			o.Reason = err.Error()
		}
		outcomes = append(outcomes, o)
	}
	answer(rw, outcomes)
}

// again has a letter kept.
func (w *Worker) again(ctx context.Context, l *Letter) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	err := w.deps.Keeper.Keep(ctx, l.Partition, []Event{l.Event}, Mark{})
	if refused, ok := errors.AsType[*Refused](err); ok && refused.Why[0] != nil {
		return refused.Why[0]
	}
	if err != nil {
		return err
	}
	w.deps.Logger.Info("a dead letter was replayed", "id", l.ID(), "tenant", l.Tenant, "room", l.Room, "offset", l.Offset)
	return w.deps.Letters.Done(ctx, l.ID())
}

func answer(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(v) // the client has gone away
}
