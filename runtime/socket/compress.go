package socket

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// extension is the only form in which compression is accepted: without context
// in both directions, so that the frames for many clients are the same bytes and
// an idle connection keeps no window.
const extension = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// negotiate leaves in r's header what gws is to accept, and reports whether that
// is compression. gws accepts any offer, even of a window that it then does not
// keep to.
func negotiate(r *http.Request, enabled bool) bool {
	const name = "Sec-Websocket-Extensions"
	offers := r.Header[name]
	r.Header.Del(name)
	if !enabled {
		return false
	}
	for _, line := range offers {
		for offer := range strings.SplitSeq(line, ",") {
			if acceptable(offer) {
				r.Header.Set(name, extension)
				return true
			}
		}
	}
	return false
}

// acceptable judges one offer of RFC 7692 section 7.
func acceptable(offer string) bool {
	name, params, _ := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return false
	}
	if strings.TrimSpace(params) == "" {
		return true
	}
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch key {
		case "server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits":
		case "server_max_window_bits":
			if strings.Trim(value, `"`) != "15" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// deflater compresses messages for frame.Deflated.
type deflater struct {
	threshold int
	writers   sync.Pool
}

type flateWriter struct {
	w   *flate.Writer
	buf bytes.Buffer
}

// newDeflate returns the function that compresses one message.
func newDeflate(c Compression) (func([]byte) []byte, error) {
	if _, err := flate.NewWriter(nil, c.Level); err != nil {
		return nil, fmt.Errorf("socket: compression.level: %w", err)
	}
	d := &deflater{threshold: int(c.Threshold)}
	d.writers.New = func() any {
		w := new(flateWriter)
		w.w, _ = flate.NewWriter(&w.buf, c.Level) // the level is good
		return w
	}
	return d.deflate, nil
}

// deflate returns nil where compressing does not pay. The result ends without
// the four bytes of the last empty block, as RFC 7692 section 7.2.1 has it.
func (d *deflater) deflate(p []byte) []byte {
	if len(p) < d.threshold {
		return nil
	}
	w := d.writers.Get().(*flateWriter)
	defer d.writers.Put(w)
	w.buf.Reset()
	w.w.Reset(&w.buf)
	if _, err := w.w.Write(p); err != nil {
		return nil
	}
	if err := w.w.Flush(); err != nil {
		return nil
	}
	z := bytes.TrimSuffix(w.buf.Bytes(), []byte{0, 0, 0xff, 0xff})
	if len(z) >= len(p) {
		return nil
	}
	return bytes.Clone(z)
}
