// Command authenticator is a native plugin that knows opaque tokens from a file. The file
// has no token in it but a keyed hash (HMAC-SHA256) of each: who reads it can not sign in.
//
//	authenticator -tokens FILE                              started by a node
//	authenticator -tokens FILE -issue USER -tenant NAME     adds a token and prints it
//
// Both need the key in HEDDLE_TOKEN_KEY.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/heddle-rt/heddle/plugins/native/serve"
)

const minKey = 32 // bytes

func main() {
	if err := run(); err != nil {
		serve.Log().Error("authenticator", "error", err)
		os.Exit(1)
	}
}

func run() error {
	file := flag.String("tokens", "", "file of the tokens")
	user := flag.String("issue", "", "issue a token to this user")
	tenant := flag.String("tenant", "", "tenant of that user")
	life := flag.Duration("life", 30*24*time.Hour, "how long that token is good for")
	flag.Parse()
	key := []byte(os.Getenv("HEDDLE_TOKEN_KEY"))
	if len(key) < minKey {
		return fmt.Errorf("HEDDLE_TOKEN_KEY has %d bytes: it needs %d", len(key), minKey)
	}
	if *user != "" {
		if *tenant == "" {
			return errors.New("-issue needs -tenant")
		}
		token := "hdl_" + rand.Text()
		if err := add(*file, entry{MAC: mac(key, token), Tenant: *tenant, User: *user, EveryRoom: true, Expires: time.Now().Add(*life)}); err != nil {
			return err
		}
		fmt.Println(token)
		return nil
	}
	t := &tokens{file: *file, key: key}
	if err := t.refresh(); err != nil {
		return err
	}
	log := serve.Log()
	serve.Authenticator(func(_ context.Context, c serve.Credentials) (*serve.Identity, error) {
		id, err := t.decide(c, time.Now())
		if err != nil {
			log.Info("a token is refused", "remote", c.Remote, "error", err)
		}
		return id, err
	})
	return nil
}
