package authenticate

import (
	"fmt"
	"testing"
	"time"
)

// manyTokens are different in all that a crowd's tokens differ in.
func manyTokens(n int) []string {
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = sign(secretA, headH, claimsOf("sub", fmt.Sprintf(`"user-%05d"`, i), "device", fmt.Sprintf(`"phone-%d"`, i%7),
			"jti", fmt.Sprintf(`"01JABCDEFGHJKMNPQRSTV%05d"`, i), "rooms", fmt.Sprintf(`["conv:*","channel:%d"]`, i)))
	}
	return tokens
}

// BenchmarkVerifyCold is a crowd that joins. In "tokens" no token comes twice in
// 20,000, so that nothing of it is in a cache; in "evicted" other work has taken
// the second-level cache before each call, with the code in it: cold-ns/op is of
// the call alone.
func BenchmarkVerifyCold(b *testing.B) {
	v := newVerifier(b, house())
	tokens := manyTokens(20_000)
	b.Run("tokens", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := v.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("evicted", func(b *testing.B) {
		other := make([]uint64, 4<<20/8)
		var spent time.Duration
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			for j := 0; j < len(other); j += 64 / 8 {
				other[j]++
			}
			start := time.Now()
			_, err := v.Verify(b.Context(), tokens[i%len(tokens)])
			spent += time.Since(start)
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(spent)/float64(b.N), "cold-ns/op")
	})
}
