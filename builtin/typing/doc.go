// Package typing tells rooms who is typing: the actions typing:start and
// typing:stop, and the event typing:update that is made of them.
//
// # What a room is told
//
// One event for all typers, to everybody in the room, the typers included:
//
//	typing:update  {"users":["ann","ben"],"others":0}
//
// users are the first ten in the order in which they began, so that names do not
// change places; others counts those behind them. The first change is told at once, and
// what changes within an interval behind that (Config.Interval) in one event at
// its end; nothing is sent if it would say what was said last. While somebody
// types the room is told again every Config.Timeout, for those who have joined
// meanwhile, or whose event was dropped. So every event that names users has a
// time to live, Config.Timeout and two intervals: a client that hears nothing more
// until then shows nobody. In the queue of a slow client a newer event replaces
// the older one.
//
// # What a client sends
//
// typing:start with the first key that is pressed, again every three seconds while
// there are more, and typing:stop when the text is sent, emptied, or was left
// alone for three seconds. Without an id neither is answered. A start that
// comes within Config.Throttle of the last one changes nothing; one who is silent
// for Config.Timeout has stopped. Typing is a user's, not a device's: a stop from
// one device ends it, and the next start of another begins it again.
//
// # Place in the route
//
// A start or stop is an effect that the stage deliver performs on Typing: here many
// changes make one event later.
//
// A start that counts, and a stop, are told to the other nodes of a cluster: each knows
// all typers, and tells those of its own sessions. So a room costs its members no more on
// several nodes than on one. What of that is lost ends with the next start, or with the
// time out, at most eight seconds; so does the typing of users whose node has died.
//
// Rooms are spread over eight shards. Run owns a goroutine and a timer for each,
// which alone tell rooms; so a room's events keep their order, handlers never pay
// for a room's size, and a node that can not keep up tells rooms less often.
// State is in memory alone: rooms in which somebody types, and for one interval
// longer. What is over Config.Typers or Config.Rooms is not shown, and counted.
//
// # Figures
//
// Measured by the package's tests, with 50 typers for 60 s at the defaults, where
// events are handed to the hub; each member gets each of them, however many there
// are. All type all the time (1,000 starts): 13 events, four while they begin and
// then one every six seconds. All begin and stop at random every few seconds, or
// ten times a second (30,000 starts): 60 events. The bound for any behaviour is one
// for each interval and one more: 61 to each member, 30,500 frames in a room of
// 500. The data of one with ten names of 20 bytes are 250 bytes. A start in such a
// room costs 0.25 µs and no allocation; to make an event costs 1.4 µs and two. A
// room with one typer takes 360 bytes, one with 50 takes 3.5 KB.
package typing
