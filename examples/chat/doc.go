// Package chat is the demo page of Heddle: a small chat in the browser that shows
// what happens to messages when the network goes away and comes back. Handler
// serves it from memory; it owns no goroutine. The page's script is made of web/
// and the client in clients/js by "go run ./clients/js/build".
package chat
