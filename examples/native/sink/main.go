// Command sink is a native plugin that appends durable events to a file, one JSON object
// on a line, and begins another file when that is large. What it has acknowledged is on
// the disk.
//
//	sink -dir DIR [-max-bytes N] [-keep N]
package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

func main() {
	if err := run(); err != nil {
		serve.Log().Error("sink", "error", err)
		os.Exit(1)
	}
}

func run() (err error) {
	dir := flag.String("dir", "", "folder of the files")
	most := flag.Int64("max-bytes", 64<<20, "size at which another file is begun")
	keep := flag.Int("keep", 10, "files that are kept beside the newest")
	flag.Parse()
	if *dir == "" {
		return errors.New("say -dir")
	}
	f, err := open(*dir, *most, *keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	log := serve.Log()
	serve.Sink(func(_ context.Context, b serve.Batch) error {
		if b.Lost > 0 {
			log.Warn("the node had to give events up", "lost", b.Lost)
		}
		return f.append(b)
	})
	return nil
}
