package plugin

import "github.com/heddle-rt/heddle/cmd/heddle/plugin/plugintest"

// tiny is a module that lets every event pass, or refuses it, or imports what no node
// has.
func tiny(what string) []byte {
	switch what {
	case "drop":
		return plugintest.Refuses("never").Module()
	case "http":
		return plugintest.Plugin{Imports: "fetch"}.Module()
	}
	return plugintest.Plugin{}.Module()
}
