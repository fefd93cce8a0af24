//go:build !race

package meter

// underRace tells that the race detector watches.
const underRace = false
