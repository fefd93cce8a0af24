package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

// A bundle is one committed JavaScript file and the module that it is made of.
// Paths are relative to the repository.
type bundle struct {
	entry, out string
	budget     int // bytes that it may have when it is gzipped; 0: as many as it likes
}

func bundles() []bundle {
	return []bundle{
		{"clients/js/src/index.ts", "clients/js/dist/heddle.js", 12_000},
		{"clients/js/src/chat.ts", "clients/js/dist/chat.js", 6_000},
		{"clients/js/src/msgpack.ts", "clients/js/dist/msgpack.js", 2_500},
		{"examples/chat/web/main.ts", "examples/chat/static/app.js", 0},
	}
}

// check fails if what was made is larger than it may be.
func (b bundle) check(made []byte) error {
	if n := gzipped(made); b.budget > 0 && n > b.budget {
		return fmt.Errorf("%s has %d bytes gzipped, and may have %d", b.out, n, b.budget)
	}
	return nil
}

// make bundles the entry and all that it imports into one minified ES module.
// The same sources give the same bytes on every machine.
func (b bundle) make(root string) ([]byte, error) {
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:     root,
		EntryPoints:       []string{filepath.FromSlash(b.entry)},
		Bundle:            true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		Platform:          api.PlatformNeutral,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		TsconfigRaw:       "{}",
		LogLevel:          api.LogLevelSilent,
	})
	if len(result.Errors) > 0 {
		texts := api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage})
		errs := make([]error, len(texts))
		for i, text := range texts {
			errs[i] = errors.New(text)
		}
		return nil, fmt.Errorf("bundle %s: %w", b.entry, errors.Join(errs...))
	}
	return result.OutputFiles[0].Contents, nil
}
