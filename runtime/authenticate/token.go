package authenticate

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken bounds a token in bytes, before anything of it is decoded.
const maxToken = 8 << 10

// header is the JOSE header. What it says about where keys are (jku, jwk, x5u,
// x5c) is never read.
type header struct {
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid,omitzero"`
	Type      string         `json:"typ,omitzero"`
	Critical  jsontext.Value `json:"crit,omitzero"`
}

// types are the kinds of JWT that speak for a user; a logout token or a DPoP proof
// of the same issuer does not.
var types = []string{"", "JWT", "at+jwt", "application/at+jwt", "application/jwt"}

// parts is a token taken apart. Its buffers are used again.
type parts struct {
	token     []byte
	signed    []byte // what the signature is of: a piece of token
	decoded   []byte // header, payload and signature lie in it
	signature []byte
	header    header
	claims    claims
}

var partsPool = sync.Pool{New: func() any {
	return &parts{token: make([]byte, 0, 1024), decoded: make([]byte, 0, 1024)}
}}

// release gives the parts back; claims and header are copies and stay good.
func (p *parts) release() {
	p.header, p.claims = header{}, claims{}
	partsPool.Put(p)
}

// parse takes a token of at most maxToken bytes apart. It verifies nothing.
func (p *parts) parse(token string) error {
	p.token = append(p.token[:0], token...)
	// Go's base64 skips line breaks, even when strict.
	if bytes.IndexByte(p.token, '\n') >= 0 || bytes.IndexByte(p.token, '\r') >= 0 {
		return refuse("the token has a line break in it", nil)
	}
	head, rest, ok := bytes.Cut(p.token, dot)
	payload, signature, ok2 := bytes.Cut(rest, dot)
	if !ok || !ok2 || bytes.IndexByte(signature, '.') >= 0 {
		return refuse("not a JWT: it must be three parts with a dot between each", nil)
	}
	p.signed = p.token[:len(head)+1+len(payload)]
	p.decoded = p.decoded[:0]
	rawHead, err := p.decode(head)
	if err != nil {
		return refuse("the header of the token is not base64url", err)
	}
	if err := json.Unmarshal(rawHead, &p.header); err != nil {
		return refuseJSON("the header", err)
	}
	rawClaims, err := p.decode(payload)
	if err != nil {
		return refuse("the claims of the token are not base64url", err)
	}
	if err := json.Unmarshal(rawClaims, &p.claims); err != nil {
		return refuseJSON("the claims", err)
	}
	if p.signature, err = p.decode(signature); err != nil {
		return refuse("the signature of the token is not base64url", err)
	}
	return p.header.check()
}

var (
	dot      = []byte(".")
	encoding = base64.RawURLEncoding.Strict()
)

// decode appends to the buffer. What it returned before stays good: growing
// leaves the old array to its readers.
func (p *parts) decode(part []byte) ([]byte, error) {
	n := len(p.decoded)
	all, err := encoding.AppendDecode(p.decoded, part)
	if err != nil {
		return nil, err
	}
	p.decoded = all
	return all[n:], nil
}

func (h *header) check() error {
	known := false
	for _, a := range algorithms {
		known = known || h.Algorithm == a
	}
	switch {
	case !known:
		return refuse("the algorithm "+quote(h.Algorithm)+" is not accepted: use HS256, RS256, ES256 or EdDSA", nil)
	case h.Critical != nil:
		return refuse("the header of the token has crit: no extension is known", nil)
	}
	for _, t := range types {
		if strings.EqualFold(h.Type, t) {
			return nil
		}
	}
	return refuse("a token of type "+quote(h.Type)+" does not speak for a user: typ must be JWT, at+jwt or absent", nil)
}

// refuseJSON says which member is wrong, in words that do not show Go's types.
func refuseJSON(what string, err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return refuse(what+" of the token has a name twice: "+quote(string(e.JSONPointer)), err)
		}
		return refuse(what+" of the token is not valid JSON", err)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok && e.JSONPointer != "" {
		return refuse(what+" of the token has a member of the wrong type: "+quote(string(e.JSONPointer)), err)
	}
	return refuse(what+" of the token is not a JSON object", err)
}
