// Package serve makes a native plugin of a function. A program's main sets up what the
// function needs, and calls Authenticator, Notifier, Sink or Moderator, which returns
// when the node stops the program or has died. Package wire says what goes between the
// two.
//
//	func main() {
//		words := mustRead(os.Args[1])
//		serve.Moderator(func(ctx context.Context, batch []*serve.Message) []serve.Verdict {
//			verdicts := make([]serve.Verdict, len(batch))
//			for i, m := range batch {
//				if words.in(m.Data) {
//					verdicts[i] = serve.Delete("a word of the list")
//				}
//			}
//			return verdicts
//		})
//	}
//
// Authenticator calls its function for many tokens at once, each from a goroutine of its
// own; the others call theirs for one batch after the other, from one goroutine. The
// context of a call ends when the node does not wait any more. A panic ends the program,
// and the node starts it again.
//
// Standard error and output become lines of the node's log; those of Log keep their
// level and attributes. A program that is started by hand says what it is, and ends.
package serve
