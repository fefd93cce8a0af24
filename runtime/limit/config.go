package limit

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// Config is everybody's budgets: for a connection by class of actions how many
// events it may send a second for long, and how many at once; and what all
// connections of a user, an address or a tenant may send together.
type Config struct {
	MessageRate  float64 `yaml:"message_rate" default:"100" min:"0.01" max:"1000000" doc:"Events a second that others receive, of one connection."`
	MessageBurst float64 `yaml:"message_burst" default:"500" min:"1" max:"1000000" doc:"Of these, how many at once."`
	ControlRate  float64 `yaml:"control_rate" default:"100" min:"0.01" max:"1000000" doc:"Events a second about the session itself (open, ack, ping)."`
	ControlBurst float64 `yaml:"control_burst" default:"500" min:"1" max:"1000000" doc:"Of these, how many at once."`
	QueryRate    float64 `yaml:"query_rate" default:"50" min:"0.01" max:"1000000" doc:"Events a second that read the store (join, history)."`
	QueryBurst   float64 `yaml:"query_burst" default:"200" min:"1" max:"1000000" doc:"Of these, how many at once."`
	CloseAfter   int     `yaml:"close_after" default:"1000" min:"1" max:"1000000" doc:"Events refused in a row after which a connection is closed with 4029."`

	User    Budget            `yaml:"user" default:"{rate: 500, burst: 2500}" doc:"All events of one user, over all connections, and of the server API in the user's name. The tenant's server itself has none."`
	IP      Budget            `yaml:"ip" doc:"All events of a tenant's users behind one address; of IPv6, one /64 network. Off by default: offices and mobile networks share addresses."`
	Tenant  Budget            `yaml:"tenant" doc:"All events of one tenant. Off by default."`
	Actions map[string]Budget `yaml:"actions" doc:"Events of one user with one action, by the action's name, beside all other budgets. Not of the tenant's server."`
	Entries int               `yaml:"entries" default:"200000" min:"1000" max:"10000000" doc:"Users and addresses whose budgets are remembered; of each. The idle ones are forgotten first."`
	Score   ScoreConfig       `yaml:"score" doc:"What happens to those who misbehave: they are slowed down, closed, and turned away for a while."`
}

// Budget is how many events may come a second for long, and how many at once.
type Budget struct {
	Rate  float64 `yaml:"rate" min:"0" max:"1000000" doc:"Events a second; 0: no limit."`
	Burst float64 `yaml:"burst" min:"0" max:"1000000" doc:"Of these, how many at once; 0: those of one second."`
}

// Override is a tenant's own part of Config. What it leaves out is as there.
type Override struct {
	MessageRate  *float64          `yaml:"message_rate" min:"0.01" max:"1000000" doc:"As limit.message_rate."`
	MessageBurst *float64          `yaml:"message_burst" min:"1" max:"1000000" doc:"As limit.message_burst."`
	ControlRate  *float64          `yaml:"control_rate" min:"0.01" max:"1000000" doc:"As limit.control_rate."`
	ControlBurst *float64          `yaml:"control_burst" min:"1" max:"1000000" doc:"As limit.control_burst."`
	QueryRate    *float64          `yaml:"query_rate" min:"0.01" max:"1000000" doc:"As limit.query_rate."`
	QueryBurst   *float64          `yaml:"query_burst" min:"1" max:"1000000" doc:"As limit.query_burst."`
	User         *Budget           `yaml:"user" doc:"As limit.user."`
	IP           *Budget           `yaml:"ip" doc:"As limit.ip."`
	Tenant       *Budget           `yaml:"tenant" doc:"As limit.tenant."`
	Actions      map[string]Budget `yaml:"actions" doc:"As limit.actions, over what is said there."`
}

// Quota is what one tenant may have. 0 is no limit.
type Quota struct {
	Connections int64       `yaml:"connections" min:"0" doc:"Connections with a session; 0: no limit."`
	Messages    float64     `yaml:"messages_per_second" min:"0" max:"1000000" doc:"Events a second that others receive, and twice as many at once; 0: no limit."`
	Rooms       int64       `yaml:"rooms" min:"0" doc:"Rooms that are there at a time; 0: no limit."`
	Storage     config.Size `yaml:"storage" min:"0" doc:"Bytes of events in the store, above which messages and all that is larger than 512 bytes are refused; 0: no limit."`
}

// Tenant is the part of one tenant.
type Tenant struct {
	Limit Override
	Quota Quota
}

// ScoreConfig is what misbehaviour counts, and what follows from it. Points fade:
// after a half-life half of them are left.
type ScoreConfig struct {
	HalfLife time.Duration `yaml:"half_life" default:"1m" min:"1s" max:"24h" doc:"Time after which half of the points are left."`

	Malformed float64 `yaml:"malformed" default:"10" min:"0" max:"1000000" doc:"Points for a frame, a packet of Socket.IO or an envelope that cannot be read."`
	Refused   float64 `yaml:"refused" default:"1" min:"0" max:"1000000" doc:"Points for an event that is not permitted, not valid or has an unknown action."`
	Flood     float64 `yaml:"flood" default:"0.2" min:"0" max:"1000000" doc:"Points for an event over the budget of its connection or user."`
	Token     float64 `yaml:"token" default:"20" min:"0" max:"1000000" doc:"Points for a token that is not genuine. Expired ones do not count."`

	Connection Ceilings `yaml:"connection" default:"{slow: 100, close: 300}" doc:"Points of one connection."`
	User       Bans     `yaml:"user" default:"{slow: 200, ban: 1000}" doc:"Points of one user."`
	IP         Bans     `yaml:"ip" default:"{slow: 2000}" doc:"Points of one address, which many may share, in each tenant by itself and before a token is known; of IPv6, one /64 network."`

	SlowRate float64       `yaml:"slow_rate" default:"0.1" min:"0.001" max:"1" doc:"Part of its budget that a connection has while it is slowed down."`
	BanFor   time.Duration `yaml:"ban_for" default:"10m" min:"1s" max:"168h" doc:"How long a user or address is turned away."`
	Entries  int           `yaml:"entries" default:"50000" min:"1000" max:"10000000" doc:"Users, and addresses with the tenant, whose points are remembered; of each. Those with the fewest are forgotten first."`
}

// Ceilings are the points from which on something is done. 0 is never.
type Ceilings struct {
	Slow  float64 `yaml:"slow" min:"0" doc:"Points from which on it is slowed down; 0: never."`
	Close float64 `yaml:"close" min:"0" doc:"Points from which on it is closed with 4029; 0: never."`
}

// Bans are the points from which on something is done. 0 is never.
type Bans struct {
	Slow float64 `yaml:"slow" min:"0" doc:"Points from which on all its connections are slowed down; 0: never."`
	Ban  float64 `yaml:"ban" min:"0" doc:"Points from which on it is turned away for score.ban_for; 0: never."`
}

var actionName = regexp.MustCompile(`^[a-z_]+:[a-z_]+$`)

// Check reports what the single options can not tell.
func (c *Config) Check(report func(path, problem string)) { checkActions(c.Actions, report) }

// Check reports what the single options can not tell.
func (o *Override) Check(report func(path, problem string)) { checkActions(o.Actions, report) }

func checkActions(budgets map[string]Budget, report func(path, problem string)) {
	for _, name := range slices.Sorted(maps.Keys(budgets)) {
		if !actionName.MatchString(name) {
			report("actions."+name, "want the name of an action, noun:verb")
		}
	}
}

// with is the configuration of a tenant.
func (c Config) with(o Override) Config {
	set := func(to *float64, from *float64) {
		if from != nil {
			*to = *from
		}
	}
	set(&c.MessageRate, o.MessageRate)
	set(&c.MessageBurst, o.MessageBurst)
	set(&c.ControlRate, o.ControlRate)
	set(&c.ControlBurst, o.ControlBurst)
	set(&c.QueryRate, o.QueryRate)
	set(&c.QueryBurst, o.QueryBurst)
	budget := func(to *Budget, from *Budget) {
		if from != nil {
			*to = *from
		}
	}
	budget(&c.User, o.User)
	budget(&c.IP, o.IP)
	budget(&c.Tenant, o.Tenant)
	actions := maps.Clone(c.Actions)
	if actions == nil {
		actions = map[string]Budget{}
	}
	maps.Copy(actions, o.Actions)
	c.Actions = actions
	return c
}

// valid reports whether a budget can be kept; files are checked by their tags.
func (b Budget) valid() bool {
	return b.Rate >= 0 && b.Burst >= 0 && b.Rate <= math.MaxInt32 && b.Burst <= math.MaxInt32
}
