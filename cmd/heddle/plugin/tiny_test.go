package plugin

import "github.com/heddle-rt/heddle/plugins/guest/guesttest"

// tiny is a module that lets every event pass, or refuses it, or imports what no node
// has.
func tiny(what string) []byte {
	switch what {
	case "drop":
		return guesttest.Refuses("never").Module()
	case "http":
		return guesttest.Plugin{Imports: "fetch"}.Module()
	}
	return guesttest.Plugin{}.Module()
}
