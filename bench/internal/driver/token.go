package driver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// claims of a token (RFC 7519); times are seconds since 1970.
type claims struct {
	Tenant  string `json:"tenant"`
	Subject string `json:"sub"`
	Expires int64  `json:"exp"`
}

var errNoSecret = errors.New("there is no secret to sign with")

// mint signs a token for a user with HS256 (RFC 7515).
func mint(secret, tenant, user string, expires time.Time) (string, error) {
	if secret == "" {
		return "", errNoSecret
	}
	payload, err := json.Marshal(claims{Tenant: tenant, Subject: user, Expires: expires.Unix()})
	if err != nil {
		return "", err
	}
	token := base64.RawURLEncoding.AppendEncode(nil, []byte(`{"alg":"HS256","typ":"JWT"}`))
	token = base64.RawURLEncoding.AppendEncode(append(token, '.'), payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(token)
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), mac.Sum(nil))), nil
}
