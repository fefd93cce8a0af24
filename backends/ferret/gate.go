package ferret

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// gate hands messages on to a server, those that write one after the other.
type gate struct {
	upstream string // a Unix socket
	writing  sync.Mutex
}

// run accepts connections until ctx ends.
func (g *gate) run(ctx context.Context, l net.Listener) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		all.Go(func() { g.serve(ctx, c) }) // ended by ctx, or by who is at the other end
	}
}

// serve hands on what comes over one connection.
func (g *gate) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", g.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})()
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		answer, err := g.ask(server, request)
		if err != nil {
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

func (g *gate) ask(server net.Conn, request []byte) ([]byte, error) {
	if writes(commandOf(request)) {
		g.writing.Lock()
		defer g.writing.Unlock()
	}
	parts := split(request)
	answers := make([][]byte, len(parts))
	for i, part := range parts {
		if _, err := server.Write(part); err != nil {
			return nil, err
		}
		var err error
		if answers[i], err = readMessage(server); err != nil {
			return nil, err
		}
	}
	if len(answers) == 1 {
		return answers[0], nil
	}
	return merge(answers)
}

const (
	headerBytes = 16
	flagsBytes  = 4 // what is behind the header, in front of sections
	maxMessage  = 48_000_000
	opMsg       = 2013
)

var errNoMessage = errors.New("ferret: not a message of MongoDB's protocol")

func readMessage(r io.Reader) ([]byte, error) {
	header := make([]byte, headerBytes)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(header)
	if n < headerBytes || n > maxMessage {
		return nil, errNoMessage
	}
	message := make([]byte, n)
	copy(message, header)
	_, err := io.ReadFull(r, message[headerBytes:])
	return message, err
}

// commandOf is the command in a message: the name of the first field. Behind the header
// come flags, a zero for the kind of the section, 4 bytes of its size, and one for the
// field's type.
func commandOf(message []byte) string {
	const name = headerBytes + flagsBytes + 1 + 4 + 1
	if len(message) <= name || binary.LittleEndian.Uint32(message[12:]) != opMsg || message[headerBytes+flagsBytes] != 0 {
		return ""
	}
	command, _, _ := bytes.Cut(message[name:], []byte{0})
	return string(command)
}

// writes reports whether a command changes documents.
func writes(command string) bool {
	switch command {
	case "insert", "update", "delete", "findAndModify", "createIndexes", "create", "drop":
		return true
	}
	return false
}
