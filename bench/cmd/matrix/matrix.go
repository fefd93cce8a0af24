package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// matrix is one invocation.
type matrix struct {
	*options
	run string // names the invocation in the results
}

// job is one scenario against one server.
type job struct {
	server
	scenario string
	flags    []string // for edgebench
}

// all measures everything and appends the results to the file. What fails is
// recorded, and counted in the error.
func (m *matrix) all(ctx context.Context, list []server) (err error) {
	f, err := os.OpenFile(m.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := m.where().write(f); err != nil {
		return err
	}
	failed, done := 0, 0
	for rep := range m.reps {
		for _, j := range m.jobs(list) {
			r, err := m.quietly(ctx, j, func(r record) error {
				r["run"], r["server"], r["scenario"], r["rep"] = m.run, j.name, j.scenario, rep+1
				return r.write(f)
			})
			if err != nil {
				return err
			}
			done++
			if r.failed() {
				failed++
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed: see \"error\" and \"first_failure\" in %s", failed, done, m.out)
	}
	return nil
}

// jobs of one repetition. All servers take part in a scenario before the next
// begins, so that those which are compared ran close together.
func (m *matrix) jobs(list []server) (jobs []job) {
	for _, scenario := range m.scenarios {
		for _, s := range list {
			if !s.runs(scenario) {
				continue
			}
			if scenario != "slope" {
				jobs = append(jobs, job{s, scenario, m.extra})
				continue
			}
			for _, n := range m.sizes {
				jobs = append(jobs, job{s, scenario, append(append([]string(nil), m.extra...), "-conns", n)})
			}
		}
	}
	return jobs
}

// quietly measures a job until it was not disturbed, or often enough, and saves
// each result. It fails only if the results cannot be saved or ctx is over.
func (m *matrix) quietly(ctx context.Context, j job, save func(record) error) (r record, err error) {
	for range m.tries {
		m.waitQuiet(ctx)
		r, err = m.measure(ctx, j)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			r = record{"error": err.Error()}
		}
		if err := save(r); err != nil {
			return nil, err
		}
		if !m.noisy(r) {
			break
		}
	}
	return r, nil
}

// record is one result: edgebench's figures, and run, server, scenario and rep;
// or an error.
type record map[string]any

func (r record) write(f *os.File) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), line)
	_, err = f.Write(append(line, '\n'))
	return err
}

// failed says whether a run did not end, or its server answered what it should
// not have; connections that a server closes under load are a result.
func (r record) failed() bool {
	_, bad := r["error"]
	failures, _ := r["failures"].(float64)
	closed, _ := r["closed"].(float64)
	return bad || failures > closed
}
