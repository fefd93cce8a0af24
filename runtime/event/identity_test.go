package event

import "testing"

func TestAllows(t *testing.T) {
	limited := []Grant{
		{Room: "conv:1", Actions: []string{"message:send", "typing:*"}}, {Room: "conv:*", Actions: []string{"room:*"}}, {Room: "news:1"}, {Room: "doc:*", Actions: []string{"*"}},
	}
	for name, c := range map[string]struct {
		id             Identity
		room, action   string
		grants, allows bool
	}{
		"no restriction":                {Identity{}, "conv:1", "message:send", true, true},
		"no room at all":                {Identity{Rooms: []string{}}, "conv:1", "message:send", false, false},
		"nothing limited, nothing else": {Identity{Limited: []Grant{}}, "conv:1", "message:send", false, false},
		"a whole room":                  {Identity{Rooms: []string{"conv:1"}}, "conv:1", "message:send", true, true},
		"its part":                      {Identity{Rooms: []string{"conv:1"}}, "conv:1/calls", "message:send", true, true},
		"another with the same start":   {Identity{Rooms: []string{"conv:1"}}, "conv:12", "message:send", false, false},
		"an action":                     {Identity{Limited: limited}, "conv:1", "message:send", true, true},
		"an action that begins like it": {Identity{Limited: limited}, "conv:1", "message:sendall", true, false},
		"an action's pattern":           {Identity{Limited: limited}, "conv:1/calls", "typing:stop", true, true},
		"another grant's action":        {Identity{Limited: limited}, "conv:1", "room:leave", true, true},
		"not that room's action":        {Identity{Limited: limited}, "conv:2", "message:send", true, false},
		"all actions":                   {Identity{Limited: limited}, "doc:1", "message:send", true, true},
		"no action":                     {Identity{Limited: limited}, "news:1", "message:send", true, false},
		"the session's own":             {Identity{Limited: limited}, "news:1", "session:ack", true, true},
		"the session's own elsewhere":   {Identity{Limited: limited}, "call:1", "session:ack", false, false},
		"both kinds":                    {Identity{Rooms: []string{"news:*"}, Limited: limited}, "news:1", "message:send", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if g, a := c.id.Grants(c.room), c.id.Allows(c.room, c.action); g != c.grants || a != c.allows {
				t.Errorf("granted %v, allowed %v", g, a)
			}
		})
	}
}

func BenchmarkAllows(b *testing.B) {
	id := &Identity{Limited: []Grant{{Room: "doc:*", Actions: []string{"*"}}, {Room: "conv:*", Actions: []string{"typing:*", "message:*"}}}}
	b.ReportAllocs()
	for b.Loop() {
		if !id.Allows("conv:42", "message:send") {
			b.Fatal("refused")
		}
	}
}
