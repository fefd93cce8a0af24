// Package presence tells who is here: the actions presence:update,
// presence:subscribe and presence:unsubscribe, and the events presence:update and
// presence:counts.
//
// # How a user is
//
// One state for all devices and sessions. While a session is open, and for
// Config.Grace behind the last one, it is what the user has chosen (online, away, dnd;
// invisible is offline to others), else online, or away if nothing was sent on any
// device for Config.IdleAfter; acks, pings and coming back after a drop do not count.
// So a connection that breaks and comes back within the grace is not told of. A user
// without sessions is offline, whatever was chosen, without text.
//
// A choice is a durable presence:update in the user's own room, `user:<name>`, which
// the user's other devices see, and a row that is projected from it: so it outlives
// sessions and nodes, until expires_at. All else is in memory, and comes back with the
// sessions.
//
//	presence:update in user:<name>  {"status":"dnd","text":"at lunch","emoji":"…","data":{…},"expires_at":1767225600000}
//
// # Who is told what
//
// Watching is being in a sub-room: `user:<name>/presence` of a user,
// `type:id/presence` of a room whose type has a presence mode. Its events:
//
//	presence:update of a user  {"user":"ann","status":"away","text":"…","since":1767225600000,"devices":2}
//	presence:update of a room  {"users":[{…},{…}],"online":12,"away":3,"dnd":1}
//	presence:counts of a room  {"online":4800,"away":150,"dnd":50}
//
// In a room are those users who have joined it; offline is who has left as well.
// since is when status, text, emoji and data became so: of two states of a user that
// say it, the later one holds. A list holds the changes since the one before; if it is
// the last of several, or the only one, the numbers tell how many are there with it: a
// client that counts otherwise has missed one, and subscribes again. Above
// Config.Large users, and in rooms of mode counts, only counts come; when there are
// half as many again, the names follow from the beginning, and the first list says
// "reset":true. In a slow client's queue newer states of a user and newer counts
// replace older ones.
//
// Watchers of a user are told at once while they are no more than Config.BatchAbove;
// more of them, and rooms, once in an interval: the first change at once, what follows
// within the interval at its end, and nothing if it came to nothing. The interval is
// Config.Interval, longer for more than 1,000 watchers in proportion to them: so one
// room never costs more than 1,000 frames in each Config.Interval.
//
// # On several nodes
//
// Each node knows the sessions of all (OnlineElsewhere and what follows), sees to all
// users, and tells its own watchers. A session whose node has died has a grace of five
// seconds at most, for it takes some until that is known. What users elsewhere have
// chosen is read behind, by 16 readers, and again if Observe may have missed it
// (Recheck). Nodes' clocks make since; so they should agree.
//
// # Place in the route
//
// Handlers return joins and leaves; the answer to a subscription is made by an effect
// that is performed behind the join, so that no change is lost between. Package session
// tells of sessions, their rooms and their activity, package directory of those
// elsewhere; the hub's Observe tells of choices, in the order of the user's room. These
// calls change a few fields, and never wait but for Online, which reads the row of what
// was chosen; until it is read the user is not shown.
//
// Users are spread over eight shards, rooms over eight others. Run owns a goroutine
// and a timer for each: these alone make states and events. The lock of a user's shard
// is taken before that of a room's. Memory is bounded by the sessions and the rooms
// that they have joined: users and rooms without any are forgotten.
//
// # Figures
//
// Measured by the package's tests and benchmarks, with the hub and connections that
// count, on four shared cores. From a change to the last frame in its queue: 10
// watchers p50 0.06 ms, p99 1.3 ms; 1,000 watchers p50 0.15 ms, p99 1.3 ms; for a change
// that comes right behind another, 251 ms (p99 252 ms); a room of 1,000 watchers, with
// changes at random, p50 0.13 ms, p99 203 ms.
//
// A room of 5,000, all of whose members come back within 10 s, costs each of them 21
// events of together 9 KB if the node was restarted (two lists, then counts), and none
// if the grace covers it. The bound for any behaviour is one for each interval and one
// more: for 5,000 watchers 9 in 10 s, for up to 1,000 watchers 41.
//
// A user with a session takes 290 bytes, each room that the session has joined 120 more,
// and a watched user who is not there up to 470. Opening and closing a session with ten rooms
// costs 8 µs; a page of 50 of a room of 5,000, 0.3 ms.
package presence
