// Package roomtest holds every store of rooms to the same contract: what room.Reader,
// room.History and room.Notes answer follows from the records that were applied.
package roomtest
