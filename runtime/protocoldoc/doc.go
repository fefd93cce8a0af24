// Package protocoldoc writes down what the declarations of actions say: the JSON
// Schema of the protocol (docs/protocol.schema.json) and the tables of actions in
// docs/PROTOCOL.md. It runs when documents are made and in tests, never in the
// server, and owns no goroutine.
package protocoldoc
