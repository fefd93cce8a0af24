// Package authenticate turns a token into an identity. It stands behind decode:
// the stage and the handshake ask the Verifier who a JWT (RFC 7519, in the
// compact form of RFC 7515) speaks for, and nobody behind it looks at tokens
// again.
//
// The tenant that a token names is believed for one thing only, which keys to try.
// A key belongs to one tenant and one algorithm; the token's header can pick among
// a tenant's keys, but never how one of them is used. So "none", another tenant's
// key and a public key taken for a secret are not cases to be caught: there is no
// way to write them down.
//
// Until a signature has been verified, an answer is made of the token's own words
// and is the same whether the tenant, the key or the signature is wrong. The
// cause, for the operator, is in the error's Err.
//
// The JWS is taken apart here rather than by golang-jwt, because that reads JSON
// with encoding/json, where the last of two equal names wins, and because of the
// storm after a node has died: an HS256 token costs a fifth of the time, and 3
// allocations for 65 (BenchmarkVerify and BenchmarkGolangJWT). Header and claims
// are read with jsonscan: by reflection the whole took nearly twice as long, with
// warm caches as with cold ones (BenchmarkVerifyCold). All cryptography is the
// standard library's.
//
// There is no cache of verified tokens. It would spare EdDSA and ES256 70 to 90
// µs of a processor, but only for clients that come back to the same process with
// the same token; the node that takes over from a dead one has never seen theirs.
//
// New starts nothing. Run owns one goroutine for each tenant with a jwks_url; all
// fetching happens there.
package authenticate
