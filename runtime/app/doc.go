// Package app wires a node: it reads nothing and decides nothing that a package
// could decide, but it alone knows all of them. route.go states the order of the
// stages. Run owns one errgroup; whatever fails in it ends the node.
package app
