package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

// entry is a line of the file.
type entry struct {
	MAC       string          `json:"mac"` // hexadecimal
	Tenant    string          `json:"tenant"`
	User      string          `json:"user"`
	Device    string          `json:"device,omitempty"`
	Expires   time.Time       `json:"expires,omitzero"`
	EveryRoom bool            `json:"every_room,omitempty"`
	Rooms     []string        `json:"rooms,omitempty"`
	Meta      json.RawMessage `json:"meta,omitempty"`
}

// mac is what the file keeps of a token. Looking it up by its value tells nothing of the
// token to who measures the time: the key is between.
func mac(key []byte, token string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(token))
	return hex.EncodeToString(h.Sum(nil))
}

// add appends a line.
func add(file string, e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// tokens are those of the file, which is read again when it has changed.
type tokens struct {
	file string
	key  []byte

	mu     sync.Mutex
	read   time.Time // the file's time of change
	size   int64
	looked time.Time
	byMAC  map[string]entry
}

// lookEvery is how often the file is looked at, at most.
const lookEvery = time.Second

// refresh reads the file if it has changed.
func (t *tokens) refresh() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.looked) < lookEvery {
		return nil
	} else {
		t.looked = now
	}
	st, err := os.Stat(t.file)
	if err != nil {
		return err
	}
	if st.ModTime().Equal(t.read) && st.Size() == t.size {
		return nil
	}
	byMAC, err := load(t.file)
	if err != nil {
		return err
	}
	t.byMAC, t.read, t.size = byMAC, st.ModTime(), st.Size()
	return nil
}

func load(file string) (map[string]entry, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := map[string]entry{}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		if len(in.Bytes()) == 0 {
			continue
		}
		var e entry
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, n, err)
		}
		all[e.MAC] = e
	}
	return all, in.Err()
}

// decide says who a token speaks for. A token that was taken out of the file is refused;
// a file that cannot be read leaves what was read in force.
func (t *tokens) decide(c serve.Credentials, now time.Time) (*serve.Identity, error) {
	if err := t.refresh(); err != nil {
		serve.Log().Error("the tokens cannot be read again", "error", err)
	}
	sum := mac(t.key, c.Token)
	t.mu.Lock()
	e, known := t.byMAC[sum]
	t.mu.Unlock()
	switch {
	case !known || c.Tenant != "" && c.Tenant != e.Tenant:
		return nil, serve.Refuse(serve.Unauthenticated, "the token is not known")
	case !e.Expires.IsZero() && !now.Before(e.Expires):
		return nil, serve.Refuse(serve.TokenExpired, "the token expired at "+e.Expires.UTC().Format(time.RFC3339))
	}
	return &serve.Identity{
		Tenant: e.Tenant, User: e.User, Device: e.Device, TokenID: sum[:32], Expires: e.Expires, EveryRoom: e.EveryRoom, Rooms: e.Rooms, Metadata: e.Meta,
	}, nil
}
