package room

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

type file struct {
	Rooms map[string]TypeConfig `yaml:"rooms" doc:"Types."`
}

func load(yaml string) (file, error) {
	r, err := config.Load[file](config.Options{
		Files: []string{"x.yaml"},
		Open:  func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(yaml)), nil },
	})
	if err != nil {
		return file{}, err
	}
	return *r.Value, nil
}

// TestLoad: what a person writes, and is told.
func TestLoad(t *testing.T) {
	got, err := load("rooms: {a: {members: true, features: [polls]}}\n")
	want := TypeConfig{Members: true, Stream: true, Create: ByAnyone, Join: JoinOpen, Publish: ByParticipants, MaxEvents: 100000, MaxAge: 720 * time.Hour,
		Presence: PresenceAuto, Features: []string{"polls"}, Notify: NotifyAuto, OnJoin: Announce, OnLeave: Announce, OnExpire: Delete}
	if err != nil || !reflect.DeepEqual(got.Rooms["a"], want) {
		t.Errorf("%v, %+v\nwant %+v", err, got.Rooms["a"], want)
	}
	for yaml, want := range map[string]string{
		"{join: members}":                        "x.yaml:1:19: rooms.a.join: members may join only where members are kept",
		"{features: [polls, Polls]}":             "x.yaml:1:31: rooms.a.features[1]: a feature is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter",
		"{members: true, empty_ttl: 30s}":        "x.yaml:1:39: rooms.a.empty_ttl: want 0s, for ever, or at least 1m0s",
		"{members: true, on_expire: trim}":       `x.yaml:1:39: rooms.a.on_expire: want one of delete, announce, not "trim"`,
		"{notify: all}":                          "x.yaml:1:21: rooms.a.notify: there is nobody to notify of all messages unless members are kept",
		"{notify: some}":                         `x.yaml:1:21: rooms.a.notify: want one of auto, off, mentions, all, not "some"`,
		"{presence: all}":                        `x.yaml:1:23: rooms.a.presence: want one of auto, off, members, counts, not "all"`,
		"{create: server}":                       "x.yaml:1:21: rooms.a.create: rooms are created only where members are kept",
		"{members: true, max_members: -1}":       "x.yaml:1:41: rooms.a.max_members: ",
		"{members: true, max_members: 10000000}": "x.yaml:1:41: rooms.a.max_members: want at most 1000000",
	} {
		if _, err := load("rooms: {a: " + yaml + "}\n"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", yaml, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		t    TypeConfig
		want string
	}{
		{"nothing said", TypeConfig{}, ""},
		{"all there is", TypeConfig{Members: true, Create: ByServer, Join: JoinMembers, Publish: ByModerators, MaxMembers: 2, EmptyTTL: time.Hour, Presence: PresenceCounts,
			Features: []string{"presence", "typing"}, Participants: true, OnJoin: Silent, OnLeave: Silent, OnExpire: Announce}, ""},
		{"without members", TypeConfig{Presence: PresenceMembers, Participants: true, Features: []string{"a"}, OnJoin: Announce, OnLeave: Announce}, ""},
		{"members join what has none", TypeConfig{Join: JoinMembers}, "join: members may join only where members are kept"},
		{"moderators of none", TypeConfig{Publish: ByModerators}, "publish: moderators exist only where members are kept"},
		{"created, without members", TypeConfig{Create: ByServer}, "create: rooms are created only where members are kept"},
		{"most of none", TypeConfig{MaxMembers: 1}, "max_members: there is nobody to count unless members are kept"},
		{"empty of none", TypeConfig{EmptyTTL: time.Hour}, "empty_ttl: a room is empty without members only where members are kept"},
		{"silent as ever", TypeConfig{OnJoin: Silent, OnLeave: Silent}, "on_join: joining is announced only where members are kept, on_leave: leaving is announced only where members are kept"},
		{"all of one", TypeConfig{Join: JoinSelf, Notify: NotifyAll}, ""},
		{"gone at once", TypeConfig{Members: true, EmptyTTL: time.Second}, "empty_ttl: want 0s, for ever, or at least 1m0s"},
		{"alone", TypeConfig{Join: JoinSelf, Participants: true}, "participants: a room of one user has no participants to write to"},
		{"names of features", TypeConfig{Features: []string{"ok", "Polls", "participant", "ok", ""}},
			"features[1]: a feature is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter, features[2]: these sub-rooms are switched on by participants, " +
				"features[3]: is there twice, features[4]: a feature is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.t.Check(func(option, problem string) { got = append(got, option+": "+problem) })
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("%s\nwant %s", s, c.want)
			}
		})
	}
}

func TestPresenceMode(t *testing.T) {
	for _, c := range []struct {
		t    TypeConfig
		want string
	}{
		{TypeConfig{}, PresenceOff},
		{TypeConfig{Presence: PresenceAuto}, PresenceOff},
		{TypeConfig{Members: true, Presence: PresenceAuto}, PresenceMembers},
		{TypeConfig{Members: true}, PresenceMembers},
		{TypeConfig{Members: true, Presence: PresenceOff}, PresenceOff},
		{TypeConfig{Presence: PresenceCounts}, PresenceCounts},
	} {
		if got := c.t.PresenceMode(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.t, got, c.want)
		}
	}
}
