// Command moderator is a native plugin that looks for the words of a list in messages.
//
//	moderator -words FILE
//
// A line of the file is a word, and "flag" behind it if the message should only be looked
// at; otherwise it is deleted. What follows a # is ignored.
package main

import (
	"context"
	"flag"
	"os"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func main() {
	if err := run(); err != nil {
		serve.Log().Error("moderator", "error", err)
		os.Exit(1)
	}
}

func run() error {
	file := flag.String("words", "", "file of the words")
	flag.Parse()
	list, err := read(*file)
	if err != nil {
		return err
	}
	serve.Moderator(func(_ context.Context, batch []*serve.Message) []serve.Verdict {
		if err := list.refresh(); err != nil {
			serve.Log().Error("the words cannot be read again", "error", err)
		}
		verdicts := make([]serve.Verdict, len(batch))
		for i, m := range batch {
			verdicts[i] = list.judge(m.Data)
		}
		return verdicts
	})
	return nil
}
