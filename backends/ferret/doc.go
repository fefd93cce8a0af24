// Package ferret runs a server of MongoDB's protocol in this process, for tests and
// developers' clusters: FerretDB on SQLite. It knows less than MongoDB (no transactions,
// change streams or pipelines in updates), and finds only documents by one _id without
// looking at all of a collection: it is for small amounts of data.
//
// FerretDB reads a document and then writes it when it updates one, with others' updates
// in between. MongoDB does not; so commands that write pass a gate one by one.
package ferret
