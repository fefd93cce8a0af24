//go:build unix

package kafkatest

import ("testing";"time")

func TestBrokers(t *testing.T) {
	c := Brokers(t, 3)
	for i := range 3 {
		b := time.Now()
		c.Stop(i)
		t.Log("stopped", time.Since(b))
		c.Start(t, i)
		t.Log("started", time.Since(b))
	}
}
