package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// lane is what a kind of plugin does with a connection. Its methods may be called at the
// same time, but one pump after the other, and one receive.
type lane interface {
	// open begins a conversation: it returns once the program has answered.
	open(ctx context.Context, conn grpc.ClientConnInterface) error
	// pump sends a batch of what waits, if anything may be sent now.
	pump() (sent bool, err error)
	// receive waits for one message and takes it.
	receive() error
	// finish says that nothing more will be sent.
	finish() error
	// lost ends the conversation, whose open has succeeded.
	lost()
	// empty reports whether all was answered.
	empty() bool
	// stalled reports whether the program owes answers, and has given none for too long.
	stalled(now time.Time) bool
	// woken has a value when pump may have something to do.
	woken() <-chan struct{}
	// end gives up what waits; nothing is taken any more.
	end()
}

// errRefused is the program's own word that it cannot take more now. It keeps running.
type errRefused struct{ why string }

func (e errRefused) Error() string { return "the plugin says: " + e.why }

// supervisor runs one plugin's program.
type supervisor struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	stats counters
	lane  lane
	out   *output
}

func (s *supervisor) init(cfg Config, deps Deps, l lane) {
	s.cfg, s.now, s.lane = cfg, deps.Now, l
	s.log = deps.Log.With("plugin", cfg.Name)
	s.out = newOutput(s.log, &s.stats, s.now)
}

func (s *supervisor) config() *Config { return &s.cfg }

// Serves reports whether the plugin is for a tenant.
func (s *supervisor) Serves(tenant string) bool {
	return len(s.cfg.Tenants) == 0 || slices.Contains(s.cfg.Tenants, tenant)
}

// read makes Stats of the counters and of what waits.
func (s *supervisor) read(depth func(*Stats)) Stats {
	st := Stats{Name: s.cfg.Name, Kind: s.cfg.Kind}
	s.stats.read(&st)
	depth(&st)
	return st
}

// Run starts the program and starts it again whenever it fails, until ctx ends; then it
// returns nil, once nothing waits or the time for that is over. It runs once.
func (s *supervisor) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.cfg.Stop, cancel) })()
	defer s.stats.set(Stopped)
	defer s.lane.end()
	pause := s.cfg.Restart.Min
	for first := true; !s.over(ctx, hard); first = false {
		if !first {
			s.stats.restarts.Add(1)
		}
		ready, err := s.life(ctx, hard)
		if err == nil || s.over(ctx, hard) {
			break
		}
		if ready >= s.cfg.Restart.Max {
			pause = s.cfg.Restart.Min
		}
		s.failed("plugin failed", err, pause)
		pause = s.rest(ctx, hard, pause)
	}
	return nil
}

// over reports whether the node stops and nothing is left to do, or no time.
func (s *supervisor) over(ctx, hard context.Context) bool {
	return hard.Err() != nil || ctx.Err() != nil && s.lane.empty()
}

// failed tells of a failure and of what comes next.
func (s *supervisor) failed(what string, err error, pause time.Duration) {
	s.stats.set(Backoff)
	s.stats.fail(err.Error())
	s.log.Warn(what, "error", err, "pause", pause)
}

// rest waits for the pause, less a random part of up to a half; the end of ctx cuts it
// short, once. It returns the next pause.
func (s *supervisor) rest(ctx, hard context.Context, pause time.Duration) time.Duration {
	done := ctx.Done()
	if ctx.Err() != nil {
		done = hard.Done()
	}
	t := time.NewTimer(pause - rand.N(pause/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
	return min(2*pause, s.cfg.Restart.Max)
}

// life is one run of the program, and how long it was ready. It returns nil when the
// node stops.
func (s *supervisor) life(ctx, hard context.Context) (ready time.Duration, err error) {
	s.stats.set(Starting)
	starting, cancel := context.WithCancel(hard)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if s.lane.empty() {
			cancel()
		}
	})()
	c, err := start(starting, &s.cfg, s.out)
	if err != nil {
		return 0, err
	}
	began := s.now()
	pause := s.cfg.Restart.Min
	for {
		talked, err := s.talk(ctx, hard, c)
		var refused errRefused
		switch {
		case err == nil:
			if end := c.stop(kindly); end != nil {
				s.log.Warn("the plugin did not end as it should", "error", end)
			}
			return s.now().Sub(began), nil
		case !errors.As(err, &refused):
			return s.now().Sub(began), because(err, c.stop(0))
		}
		if talked >= s.cfg.Restart.Max {
			pause = s.cfg.Restart.Min
		}
		s.failed("plugin takes nothing", err, pause)
		pause = s.rest(ctx, hard, pause)
	}
}

// kindly is how long a program may take to end that was told to.
const kindly = 3 * time.Second

// talk is one conversation with a program. It returns nil when that has ended because
// the node stops.
func (s *supervisor) talk(soft, hard context.Context, c *child) (time.Duration, error) {
	ctx, cancel := context.WithCancel(hard)
	defer cancel()
	late := time.AfterFunc(s.cfg.Start, cancel)
	err := s.lane.open(ctx, c.conn)
	if !late.Stop() && err != nil && hard.Err() == nil {
		return 0, fmt.Errorf("the program has not opened its stream within %v", s.cfg.Start)
	}
	if err != nil {
		return 0, s.explain(err)
	}
	defer s.lane.lost()
	c.connected()
	s.stats.set(Ready)
	s.log.Info("plugin ready", "pid", c.process.ID())
	began := s.now()
	finished := make(chan struct{}) // by us
	group, inner := errgroup.WithContext(ctx)
	defer context.AfterFunc(inner, cancel)() // ends the stream, and by it whoever sends or receives
	group.Go(func() error { return s.sending(inner, soft.Done(), finished) })
	group.Go(func() error { return s.receiving(finished) })
	group.Go(func() error { return s.watching(inner, c.conn) })
	err = group.Wait()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return s.now().Sub(began), s.explain(err)
}

// sending pumps until the node stops and all is answered.
func (s *supervisor) sending(ctx context.Context, stopping <-chan struct{}, finished chan<- struct{}) error {
	ending := false
	for {
		for {
			sent, err := s.lane.pump()
			switch {
			case errors.Is(err, io.EOF):
				return nil // the stream has ended, and receive knows why
			case err != nil:
				return err
			}
			if !sent {
				break
			}
		}
		if ending && s.lane.empty() {
			close(finished)
			return s.lane.finish()
		}
		select {
		case <-s.lane.woken():
		case <-stopping:
			ending, stopping = true, nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errClosed = errors.New("the program has ended the conversation")

// receiving takes answers. It ends with an error: io.EOF if the program has answered the
// end of our side.
func (s *supervisor) receiving(finished <-chan struct{}) error {
	for {
		err := s.lane.receive()
		switch {
		case err == nil:
			continue
		case !errors.Is(err, io.EOF):
			return err
		}
		select {
		case <-finished:
			return io.EOF
		default:
			return errClosed
		}
	}
}

// watching asks the program whether it is there, and looks whether it answers.
func (s *supervisor) watching(ctx context.Context, conn grpc.ClientConnInterface) error {
	health := grpc_health_v1.NewHealthClient(conn)
	look := time.NewTicker(min(s.cfg.Health, max(s.cfg.Timeout/4, time.Millisecond)))
	defer look.Stop()
	asked := s.now()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if s.lane.stalled(s.now()) {
			return errors.New("the program hangs: it owes answers, and gives none in time")
		}
		if s.now().Sub(asked) < s.cfg.Health {
			continue
		}
		asked = s.now()
		if err := s.ask(ctx, health); err != nil {
			return err
		}
	}
}

// service is the name under which go-plugin answers for the whole program.
const service = "plugin"

func (s *supervisor) ask(ctx context.Context, health grpc_health_v1.HealthClient) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Health)
	defer cancel()
	answer, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case err != nil:
		return fmt.Errorf("health check: %w", err)
	case answer.Status != grpc_health_v1.HealthCheckResponse_SERVING:
		return fmt.Errorf("health check: the program says %v", answer.Status)
	}
	return nil
}

// explain says what gRPC's words mean here.
func (s *supervisor) explain(err error) error {
	switch status.Code(err) {
	case codes.Unimplemented:
		return fmt.Errorf("the program is no %s: %w", s.cfg.Kind, err)
	case codes.Unavailable:
		return fmt.Errorf("the connection to the program is gone: %w", err)
	}
	return err
}
