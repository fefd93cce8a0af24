// Package plugin is the part of the command line that plugins' developers work with:
// heddle plugin new, build, test, bench, inspect, and what speaks to a node. What it
// says of a module is what a node would say, because it is said by the same code.
//
// A project is a folder with heddle-plugin.yaml, the source, the SDK's source and
// fixtures. Nothing here needs a network but what speaks to a node.
//
// The package owns no goroutines but those of dev, which end with it.
package plugin
