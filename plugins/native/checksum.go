package native

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin"
)

// othersWrite is the permission of everybody to change a file.
const othersWrite = 0o002

// verify holds a program's file to its checksum.
func verify(path, want string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.Mode().Perm()&othersWrite != 0 {
		return fmt.Errorf("everybody may write %s: what runs could be another program than what was checked", path)
	}
	sum, err := hex.DecodeString(want)
	if err != nil {
		return fmt.Errorf("sha256: %w", err)
	}
	secure := plugin.SecureConfig{Checksum: sum, Hash: sha256.New()}
	same, err := secure.Check(path)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("sha256 of %s is %x, and the configuration says %s: it is not the program that was meant, or was built again", path, secure.Hash.Sum(nil), want)
	}
	return nil
}
