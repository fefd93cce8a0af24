//go:build race

package meter

// underRace tells that the race detector watches. It makes wazero's compiler eight
// times slower, and nothing here is concurrent.
const underRace = true
