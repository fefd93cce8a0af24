// Package kv is what plugins remember: keys and values of one plugin of one tenant,
// with times to live and a quota, in a cell.Store.
//
// A call of a guest works on an Overlay: it sees what is stored and what it has
// written itself, and nobody else sees that. When the call has succeeded, Commit
// checks that everything that the call has read still is as it was, and makes its
// writes, all together; otherwise it changes nothing and says Stale, and the call is
// to be run again. So calls have effects as if they had run one after the other,
// whichever instances ran them at the same time; and one that traps, or is a shadow's,
// has none.
//
// Writes are seen at once and on disk a moment later: of a crash, the newest may be
// lost.
//
// Where nodes share what is kept (Shared), it is compared, counted and written there in one
// step. A call that runs alone then has the part's gate, a cell of that which all others
// find shut; it is theirs again with its commit, or when its node has died.
//
// What is kept is bounded by the tenant's quota, what is written by Store.Writes. A call
// that writes nothing asks neither.
//
// A key whose time is over is not there. Sweep removes such keys, a bounded number each
// time; the package owns no goroutine, its caller calls that. Keys are counted when a part
// is opened, which may take long, as deleting them may: nobody else waits for either.
package kv
