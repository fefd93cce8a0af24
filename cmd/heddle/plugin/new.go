package plugin

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/heddle-rt/heddle/plugins/manifest"
	sdk "github.com/heddle-rt/heddle/sdk-wasm"
)

//go:embed templates
var templates embed.FS

type newCmd struct {
	Lang string `required:"" enum:"go,rust,as,c" placeholder:"go|rust|as|c" help:"Language: go, rust, as (AssemblyScript) or c."`
	Name string `arg:"" help:"Name of the plugin, or a path that ends with it: the folder to make."`
}

// Help shows an example.
func (*newCmd) Help() string {
	return `The folder has a small useful plugin, which can be built at once, and the SDK's source.
Of AssemblyScript alone the compiler has to come from npm.

Example:
  heddle plugin new --lang go links
  cd links && heddle plugin test`
}

// Run makes the folder.
func (c *newCmd) Run() error {
	c.Name = filepath.Clean(c.Name)
	name := filepath.Base(c.Name)
	if list, err := os.ReadDir(c.Name); err == nil && len(list) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: take another name, or remove it", c.Name)
	}
	files, err := skeleton(c.Lang, name)
	if err != nil {
		return err
	}
	for file, text := range files {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(file, ".sh") {
			mode = 0o755
		}
		target := filepath.Join(c.Name, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, text, mode); err != nil {
			return err
		}
	}
	fmt.Printf("%s is a plugin in %s now. Next:\n  cd %s\n", c.Name, languages[c.Lang].name, c.Name)
	if c.Lang == "as" {
		fmt.Println("  npm install            AssemblyScript's compiler; nothing else comes from npm")
	}
	fmt.Println("  heddle plugin test     build it, and run its fixtures")
	fmt.Println("  heddle plugin dev      put it into a node that heddle dev has started, again after each change")
	return nil
}

// skeleton is the files of a new project, by their paths.
func skeleton(lang, name string) (map[string][]byte, error) {
	files := map[string][]byte{}
	fill := strings.NewReplacer("NAME", name, "LANG", lang)
	for _, root := range []string{"templates/common", "templates/" + lang} {
		err := each(templates, root, func(file string, text []byte) {
			file = strings.TrimSuffix(file, ".tmpl") // go.mod and main.go would be taken for ours
			if file == "gitignore" {
				file = ".gitignore"
			}
			files[file] = []byte(fill.Replace(string(text)))
		})
		if err != nil {
			return nil, err
		}
	}
	if _, err := manifest.Read(manifest.FileName, files[manifest.FileName]); err != nil {
		return nil, fmt.Errorf("%q is no name of a plugin: %w", name, err)
	}
	source, err := sdk.Source(lang)
	if err != nil {
		return nil, err
	}
	err = each(source, ".", func(file string, text []byte) { files[languages[lang].sdk+"/"+file] = text })
	return files, err
}

// each visits all files below a folder, by their paths in there.
func each(tree fs.FS, root string, use func(file string, text []byte)) error {
	return fs.WalkDir(tree, root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, file)
		use(strings.TrimPrefix(strings.TrimPrefix(file, root), "/"), text)
		return err
	})
}
