// Package plugins measures the host of plugins: beside peers, against code that is not
// metered, and in the live route. Each part is a file of its own, and makes tables and
// claims: what was promised, what was measured, and whether the one holds the other.
//
// What is compared is measured in one process and in turn, round by round, so that
// whatever else the machine does meets all of it; figures are medians of the rounds.
//
// Guests are built when they are needed, by the toolchains that are there; what can not
// be built is left out, with the reason.
package plugins
