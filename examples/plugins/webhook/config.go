package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// routes are rooms by repository.
type routes map[string]string

// parseConfig reads {"rooms": {"owner/name": "channel:x"}}. Its errors are in the answer
// to the deploy.
func parseConfig(config []byte) (routes, error) {
	var c struct{ Rooms routes }
	d := json.NewDecoder(bytes.NewReader(config))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if len(c.Rooms) == 0 {
		return nil, errors.New(`config: want {"rooms": {"owner/name": "channel:x"}}`)
	}
	for repository, room := range c.Rooms {
		if repository != "*" && strings.Count(repository, "/") != 1 {
			return nil, fmt.Errorf("config: rooms: %q: want owner/name, owner/* or *", repository)
		}
		if kind, id, _ := strings.Cut(room, ":"); kind == "" || id == "" {
			return nil, fmt.Errorf("config: rooms: %q: %q is no room: want type:id", repository, room)
		}
	}
	return c.Rooms, nil
}

// of is a repository's room, "" for none. The most exact entry counts.
func (r routes) of(repository string) string {
	owner, _, _ := strings.Cut(repository, "/")
	for _, key := range []string{repository, owner + "/*", "*"} {
		if room := r[key]; room != "" {
			return room
		}
	}
	return ""
}
