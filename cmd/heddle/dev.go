package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/examples/chat"
	"github.com/heddle-rt/heddle/runtime/app"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/validate"
)

//go:embed dev.yaml
var devYAML string

type devCmd struct {
	sources
	Data   string `default:"data" help:"Folder of the data and of the secrets, kept between runs; not the storage.dir of a node that serves."`
	Listen string `default:"127.0.0.1:8080" help:"Address to serve on. Whoever reaches it can sign in as anybody."`
}

func (c *devCmd) Help() string {
	return `Starts a node on the embedded store with a tenant called dev, whose tokens anybody who reaches the
page can get: never expose it. It prints a key for the server API and for heddle plugin; bundles that
lie in DATA/plugins/dev become live. Example:
  heddle dev --listen 127.0.0.1:9000 --data other-data`
}

func (c *devCmd) Run() error {
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return err
	}
	secret, err := devSecret(filepath.Join(c.Data, "dev.secret"))
	if err != nil {
		return err
	}
	key, err := devSecret(filepath.Join(c.Data, "dev.key"))
	if err != nil {
		return err
	}
	c.Set = append([]string{"socket.listen=" + c.Listen, "storage.dir=" + filepath.Join(c.Data, "store"),
		"plugins.folder.path=" + filepath.Join(c.Data, "plugins"), "plugins.folder.watch=1s"}, c.Set...)
	base := strings.NewReplacer("DEV_SECRET", secret, "DEV_KEY", key).Replace(devYAML)
	mux := http.NewServeMux()
	mux.Handle("/", chat.Handler())
	mux.HandleFunc("POST /dev/token", devTokens(secret))
	return c.run(base, mux, func(node *app.App) {
		url := pageURL(node.Addr())
		fmt.Printf("\n  Heddle is on %s — open it in two windows and sign in as two people.\n  Metrics and health: http://%s/metrics\n", url, node.AdminAddr())
		fmt.Printf("  For heddle plugin, in another terminal:\n    export HEDDLE_URL=%s\n    export HEDDLE_KEY=dev.%s\n\n", strings.TrimSuffix(url, "/"), key)
	})
}

// pageURL is what a browser on this machine opens.
func pageURL(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// devSecret reads the secret, or makes one, so that tokens outlive a restart.
func devSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	secret := hex.EncodeToString(b[:])
	return secret, os.WriteFile(path, []byte(secret+"\n"), 0o600)
}

// devTokens answers POST /dev/token {"user":"ann"} with {"token":"..."}.
func devTokens(secret string) http.HandlerFunc {
	const maxBody = 1 << 10
	return func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ User string }
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&ask)
		if err == nil {
			err = validate.UserName(ask.User)
		}
		if err != nil {
			http.Error(w, "want {\"user\":\"name\"}: "+err.Error(), http.StatusBadRequest)
			return
		}
		now := time.Now()
		token, err := authenticate.Mint([]byte(secret), "dev", authenticate.Claims{
			Tenant: "dev", User: ask.User, Issued: now, Expires: now.Add(24 * time.Hour),
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token}) // the client has gone away
	}
}
