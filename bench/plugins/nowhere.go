package plugins

import (
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// nowhere is a guest.Host that has nothing.
type nowhere struct{}

func (nowhere) Log(int, string)                                          {}
func (nowhere) Metric(int, string, float64) hostapi.Status               { return hostapi.OK }
func (nowhere) Secret(string) ([]byte, hostapi.Status)                   { return nil, hostapi.NotFound }
func (nowhere) Lookup(hostapi.Lookup, string) ([]byte, hostapi.Status)   { return nil, hostapi.NotFound }
func (nowhere) Get([]byte) ([]byte, hostapi.Status)                      { return nil, hostapi.NotFound }
func (nowhere) Put(_, _ []byte, _ time.Duration) hostapi.Status          { return hostapi.Denied }
func (nowhere) Delete([]byte) hostapi.Status                             { return hostapi.Denied }
func (nowhere) Swap(_, _, _ []byte, _ time.Duration) hostapi.Status      { return hostapi.Denied }
func (nowhere) Add([]byte, int64, time.Duration) (int64, hostapi.Status) { return 0, hostapi.Denied }
