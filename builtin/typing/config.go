package typing

import "time"

// Config says how often rooms are told, and how much is kept. A client repeats
// typing:start every three seconds: Throttle and Timeout are bounded so that it
// stays a typer.
type Config struct {
	Interval time.Duration `yaml:"interval" default:"1s" min:"100ms" max:"10s" doc:"A room is told who is typing at most once in this time."`
	Timeout  time.Duration `yaml:"timeout" default:"6s" min:"5s" max:"1m" doc:"After this time without another typing:start a user types no more. While somebody types, the room is told again this often."`
	Throttle time.Duration `yaml:"throttle" default:"1s" min:"0s" max:"2s" doc:"A typing:start of a user who types already is passed over if it comes within this time after the last one."`
	Typers   int           `yaml:"typers" default:"100" min:"1" max:"1000" doc:"Users of one room who may type at once; further ones are not shown."`
	Rooms    int           `yaml:"rooms" default:"10000" min:"1" max:"1000000" doc:"Rooms of one tenant in which users may type at once; in further ones nobody is shown."`
}
