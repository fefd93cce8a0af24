// Package logtest holds every sequence.Log to the same contract. An adapter's
// test calls Run with a way to make a log and to restart it.
package logtest
