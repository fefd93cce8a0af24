package sdk

import (
	"archive/zip"
	_ "embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed sdk.zip
var archive string

// Source is the source of a language's SDK.
func Source(language string) (fs.FS, error) {
	if !slices.Contains(Languages(), language) {
		return nil, fmt.Errorf("sdk: there is none of %q; there are %v", language, Languages())
	}
	r, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("sdk: the archive: %w", err)
	}
	return fs.Sub(r, language)
}
