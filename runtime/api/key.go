package api

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Scopes of a key: which routes and actions it is good for.
const (
	ScopePublish     = "publish"
	ScopeDirect      = "direct"
	ScopePresence    = "presence"
	ScopeRooms       = "rooms"
	ScopeHistory     = "history"
	ScopeConnections = "connections"
	ScopeDisconnect  = "disconnect"
	ScopeRevoke      = "revoke"
	ScopePlugins     = "plugins"
)

// Key is one API key of a tenant, as an operator writes it. A request brings it as
// "Authorization: Bearer <id>.<secret>".
type Key struct {
	ID         string   `yaml:"id" required:"true" doc:"Name of the key: 1 to 64 of letters, digits, _ and -."`
	Secret     string   `yaml:"secret" secret:"true" doc:"The secret, at least 32 bytes; or secret_hash."`
	SecretHash string   `yaml:"secret_hash" doc:"SHA-256 of the secret in hexadecimal, so that this file does not hold it."`
	Scopes     []string `yaml:"scopes" min:"1" enum:"publish,direct,presence,rooms,history,connections,disconnect,revoke,plugins" doc:"What the key is good for."`
	Rate       float64  `yaml:"rate" default:"200" min:"0.01" max:"1000000" doc:"Requests a second; each message of a batch is one, and so are 2,000 connections that a list of them looks through."`
	Burst      float64  `yaml:"burst" default:"1000" min:"1" max:"1000000" doc:"Of these, how many at once."`
}

const (
	minSecret = 32 // bytes
	maxKeyID  = 64
	hashSize  = 32 // bytes of SHA-256
)

// Check reports what the single options can not tell.
func (k Key) Check(report func(option, problem string)) {
	if !isKeyID(k.ID) {
		report("id", "want 1 to 64 of letters, digits, _ and -")
	}
	switch {
	case (k.Secret == "") == (k.SecretHash == ""):
		report("secret and secret_hash", "want one of them")
	case k.Secret != "" && len(k.Secret) < minSecret:
		report("secret", "want at least "+strconv.Itoa(minSecret)+" bytes")
	case k.SecretHash != "":
		if sum, err := hex.DecodeString(k.SecretHash); err != nil || len(sum) != hashSize {
			report("secret_hash", "want 64 hexadecimal digits")
		}
	}
}

// CheckKeys reports what the keys of one tenant can not tell each by itself. Paths
// are relative to the tenant.
func CheckKeys(keys []Key, report func(path, problem string)) {
	seen := map[string]bool{}
	for i := range keys {
		if seen[keys[i].ID] {
			report("api_keys["+strconv.Itoa(i)+"].id", "another key of the tenant has this id")
		}
		seen[keys[i].ID] = true
	}
}

func isKeyID(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return s != "" && len(s) <= maxKeyID && strings.Trim(s, alphabet) == ""
}
