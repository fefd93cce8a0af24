package manifest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/runtime/config"
)

// FileName is what a manifest is called.
const FileName = "heddle-plugin.yaml"

// How instances are used.
const (
	Stateless = "stateless"  // each batch begins from the image of the initialised guest
	Pooled    = "pooled"     // memory stays from batch to batch, until the instance is recycled
	KeyedRoom = "keyed_room" // pooled; the events of a room are run one batch after the other, by one instance
	KeyedUser = "keyed_user" // likewise those of a user
)

// What becomes of an event when the plugin has failed on it.
const (
	Closed     = "closed"      // it is refused
	Open       = "open"        // it goes on as if there were no plugin
	DeadLetter = "dead_letter" // it is refused and kept, to be replayed
)

// Manifest is what a plugin says of itself.
type Manifest struct {
	Name     string `yaml:"name" required:"true" doc:"Name of the plugin, of lower-case letters, digits and hyphens, at most 40."`
	Version  string `yaml:"version" required:"true" doc:"Version, which stands in lists; a deploy has a number of its own."`
	Doc      string `yaml:"doc" doc:"What it is for, a sentence."`
	Language string `yaml:"language" enum:"go,rust,as,c" doc:"Language of the source, for heddle plugin build: go, rust, as or c."`
	Build    string `yaml:"build" doc:"Command that builds the module, where heddle plugin build cannot know it; OUT in its environment is the file to write."`

	Bindings     []Binding    `yaml:"bindings" doc:"Which events the plugin is asked about."`
	Actions      []Action     `yaml:"actions" doc:"Actions of the plugin's own, which no builtin knows: their events come with hook handle."`
	Payload      Payload      `yaml:"payload" default:"full" doc:"How much of the payload the guest is given: none, full, or prefix(N) for its first N bytes."`
	Attributes   []Attribute  `yaml:"attributes" doc:"Values of the payload that the host finds and hands over typed."`
	Mode         string       `yaml:"mode" default:"stateless" enum:"stateless,pooled,keyed_room,keyed_user" doc:"How instances are used: stateless begins each batch from the initialised guest; pooled keeps memory; keyed_room and keyed_user run the events of a room or user one after the other in one instance."`
	OneUser      bool         `yaml:"one_user" doc:"No batch has events of two users."`
	Recycle      Recycle      `yaml:"recycle" doc:"When an instance that keeps memory is replaced by a fresh one."`
	Capabilities []string     `yaml:"capabilities" doc:"What the guest may do beside deciding: emit, http, kv, lookup, secrets, timers."`
	Hosts        []string     `yaml:"hosts" doc:"Host names that the plugin sends HTTP requests to, each with a port if that is not 443: api.example.com, *.example.com."`
	Failure      string       `yaml:"failure" default:"closed" enum:"closed,open,dead_letter" doc:"What becomes of an event on which the plugin fails: closed refuses it, open lets it go on, dead_letter refuses and keeps it."`
	Limits       guest.Limits `yaml:"limits" doc:"What a call may use. The operator's limits for the tenant stand above these."`
	Config       JSON         `yaml:"config" doc:"JSON that the guest is initialised with."`
}

// Binding is one place in the route.
type Binding struct {
	Hooks    []string `yaml:"hooks" default:"before" doc:"When: before, after, connect, disconnect, join, leave, request."`
	Actions  []string `yaml:"actions" doc:"Actions, or beginnings of such with a star: message:*. Of hooks before and after. Empty: all that others receive, those of rate class message."`
	Rooms    []string `yaml:"rooms" doc:"Rooms, or beginnings of such with a star: conv:*. Empty: all, and events without a room."`
	Spaces   []string `yaml:"namespaces" doc:"Namespaces: a room with the name of one as its feature belongs to it, conv:1/voice to /voice; all else belongs to /. Empty: all."`
	Priority int      `yaml:"priority" default:"100" min:"0" max:"1000" doc:"Plugins with a lower number are asked first; among equals by name."`
}

// Action is one of the plugin's own.
type Action struct {
	Name       string `yaml:"name" required:"true" doc:"noun:verb, for example order:created. Nouns of builtins are taken."`
	Doc        string `yaml:"doc" doc:"What it is for."`
	NoRoom     bool   `yaml:"no_room" doc:"The envelope need not name a room."`
	Permission string `yaml:"permission" default:"publisher" enum:"any,participant,publisher,moderator" doc:"Who may send it: any user whose token grants the room, participant (the session has joined the room), publisher, moderator."`
	Durable    bool   `yaml:"durable" doc:"An event that the guest lets pass is stored in the room's stream; otherwise it is told to those who are there."`
	Silent     bool   `yaml:"silent" doc:"An event that the guest lets pass goes to nobody: what the guest emits is all that comes of it."`
}

// Attribute is a value of the payload.
type Attribute struct {
	Name string `yaml:"name" required:"true" doc:"What the guest calls it."`
	Path string `yaml:"path" required:"true" doc:"Where it is, from payload.data: names and numbers of elements with dots between, as in meta.tags.0."`
}

// Recycle says when an instance is replaced.
type Recycle struct {
	Calls  int         `yaml:"calls" default:"100000" min:"1" doc:"After so many batches."`
	Memory config.Size `yaml:"memory" default:"0" min:"0" doc:"When it has so much memory; 0: at three quarters of limits.memory."`
}

// Read reads a manifest. name is what errors call the file.
func Read(name string, text []byte) (*Manifest, error) {
	r, err := config.Load[Manifest](config.Options{
		Files: []string{name},
		Open:  func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
	})
	if err != nil {
		return nil, err
	}
	return r.Value, nil
}

// Granted are the manifest's capabilities.
func (m *Manifest) Granted() []hostapi.Capability {
	out := make([]hostapi.Capability, len(m.Capabilities))
	for i, c := range m.Capabilities {
		out[i] = hostapi.Capability(c)
	}
	return out
}

// Can reports whether the manifest asks for a capability.
func (m *Manifest) Can(c hostapi.Capability) bool { return slices.Contains(m.Capabilities, string(c)) }

// String names the plugin and its version.
func (m *Manifest) String() string { return fmt.Sprintf("%s %s", m.Name, m.Version) }
