package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Payload is how much of a payload a guest is given: 0 none, Full, or its first
// bytes.
type Payload int

// Full is all of it.
const Full Payload = -1

// UnmarshalText reads none, full or prefix(N).
func (p *Payload) UnmarshalText(text []byte) error {
	switch s := strings.TrimSpace(string(text)); s {
	case "none":
		*p = 0
	case "full":
		*p = Full
	default:
		inner, ok := strings.CutPrefix(s, "prefix(")
		inner, closed := strings.CutSuffix(inner, ")")
		n, err := strconv.Atoi(inner)
		if !ok || !closed || err != nil || n < 1 || n > 1<<20 {
			return errors.New("want none, full or prefix(N), N from 1 to 1048576")
		}
		*p = Payload(n)
	}
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (p Payload) MarshalText() ([]byte, error) {
	switch p {
	case 0:
		return []byte("none"), nil
	case Full:
		return []byte("full"), nil
	}
	return fmt.Appendf(nil, "prefix(%d)", int(p)), nil
}

// JSON is a JSON value as text.
type JSON []byte

// UnmarshalText checks the text.
func (j *JSON) UnmarshalText(text []byte) error {
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	*j = append([]byte(nil), v...)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (j JSON) MarshalText() ([]byte, error) { return j, nil }
