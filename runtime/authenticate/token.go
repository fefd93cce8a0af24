package authenticate

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
)

// maxToken bounds a token in bytes, before anything of it is decoded.
const maxToken = 8 << 10

// header is the JOSE header, in pieces of the parts that it belongs to. What it
// says about where keys are (jku, jwk, x5u, x5c) is never read.
type header struct {
	algorithm []byte
	keyID     []byte
	kind      []byte // typ
	critical  bool   // crit is there, whatever it says
}

func (h *header) member(d *document, name []byte, i int) (int, *flaw) {
	switch string(name) {
	case "alg":
		return d.string(i, &h.algorithm)
	case "kid":
		return d.string(i, &h.keyID)
	case "typ":
		return d.string(i, &h.kind)
	case "crit":
		h.critical = true
	}
	return d.value(i, 1)
}

// types are the kinds of JWT that speak for a user; a logout token or a DPoP proof
// of the same issuer does not.
var types = []string{"", "JWT", "at+jwt", "application/at+jwt", "application/jwt"}

// parts is a token taken apart. Its buffers are used again: what outlives release
// is copied.
type parts struct {
	token     []byte
	signed    []byte // what the signature is of: a piece of token
	decoded   []byte // header, payload and signature lie in it
	signature []byte
	document  document // of the header, then of the claims
	header    header
	claims    claims
	opening   opening // alone: of a message that a token is in
}

var partsPool = sync.Pool{New: func() any {
	return &parts{token: make([]byte, 0, 1024), decoded: make([]byte, 0, 1024), document: newDocument()}
}}

// release gives the parts back, with all that claims and header point to.
func (p *parts) release() {
	if len(p.document.text) > maxToken {
		return // a first message can be long, and leaves large buffers behind
	}
	p.header, p.claims, p.opening = header{}, claims{}, opening{}
	p.document.reset()
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
	if bad := p.document.read(rawHead, &p.header); bad != nil {
		return bad.refuse("the header")
	}
	rawClaims, err := p.decode(payload)
	if err != nil {
		return refuse("the claims of the token are not base64url", err)
	}
	if bad := p.document.read(rawClaims, &p.claims); bad != nil {
		return bad.refuse("the claims")
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
		known = known || string(h.algorithm) == a
	}
	switch {
	case !known:
		return refuse("the algorithm "+quote(h.algorithm)+" is not accepted: use HS256, RS256, ES256 or EdDSA", nil)
	case h.critical:
		return refuse("the header of the token has crit: no extension is known", nil)
	}
	for _, t := range types {
		if strings.EqualFold(string(h.kind), t) {
			return nil
		}
	}
	return refuse("a token of type "+quote(h.kind)+" does not speak for a user: typ must be JWT, at+jwt or absent", nil)
}
