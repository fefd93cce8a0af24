package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// signed reports whether a body has the signature of a secret:
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func signed(body []byte, secret, signature string) bool {
	digits, ok := strings.CutPrefix(signature, "sha256=")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), sum) // takes as long whichever byte is wrong
}

// headers are lines "name: value", with names in lower case.
type headers string

// get is the first value of a header, "" for none.
func (h headers) get(name string) string {
	for line := range strings.SplitSeq(string(h), "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
