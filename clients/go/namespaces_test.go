package heddle

import (
	"reflect"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

func TestNamespaces(t *testing.T) {
	for _, c := range []struct{ spaces, want []string }{
		{nil, []string{"user:ann"}},
		{[]string{"/", "/notification"}, []string{"user:ann", "user:ann/notification"}},
		{[]string{"/notification"}, []string{"user:ann/notification"}},
	} {
		t.Run(strings.Join(c.spaces, ","), func(t *testing.T) {
			s := node(t, heddletest.Options{})
			opt := fast(s.URL(), "ann")
			opt.Rooms, opt.Namespaces = nil, c.spaces
			ann := start(t, opt)
			for range 2 { // also of the session that is resumed
				var got []string
				for _, r := range next1(t, ann.sessions).Rooms {
					got = append(got, r.Room)
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("joined %v, want %v", got, c.want)
				}
				s.Cut()
			}
		})
	}
}

func TestNotification(t *testing.T) {
	e := Event{Action: "notification:new", Data: []byte(`{"room":"conv:1","epoch":"e","offset":7,"id":"x","from":"bob","reason":"mention","text":"hi","devices":["phone"],"unread":3}`)}
	want := Notification{Position: Position{"e", 7}, Room: "conv:1", ID: "x", From: "bob", Reason: "mention", Text: "hi", Devices: []string{"phone"}, Unread: 3}
	var got Notification
	if err := e.Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
}
