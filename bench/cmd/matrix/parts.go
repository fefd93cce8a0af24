package main

import "fmt"

// partSheets are of scenarios that measure several things in turn.
func partSheets() []sheet {
	cores := []column{{"server cores", "server_cores", "%.2f", notCompared}, {"other cores", "other_cores", "%.2f", notCompared},
		{"stolen cores", "stolen_cores", "%.2f", notCompared}}
	return []sheet{
		{"presence", "S7 presence", append([]column{
			{"watchers", "watchers", "%.0f", notCompared}, {"changes", "changes", "%.0f", notCompared}, {"lost", "lost", "%.0f", notCompared},
			{"p50 ms", "p50_ms", "%.1f", notCompared}, {"p99 ms", "p99_ms", "%.1f", notCompared}, {"max ms", "max_ms", "%.1f", notCompared}}, cores...)},
		{"reconnect", "S8 all of a room come back", append([]column{
			{"members", "members", "%.0f", notCompared}, {"events to each", "events", "%.1f", notCompared}, {"at most", "events_max", "%.0f", notCompared},
			{"KB to each", "kb", "%.1f", notCompared}, {"at most", "kb_max", "%.1f", notCompared}, {"KB of answers to each", "answer_kb", "%.1f", notCompared},
			{"CPU µs/member", "cpu_us_per_join", "%.0f", notCompared}}, cores...)},
		{"typing", "S9 typing", append([]column{
			{"members", "members", "%.0f", notCompared}, {"typers", "typers", "%.0f", notCompared}, {"requests/s", "requests_per_s", "%.0f", notCompared},
			{"events/s to each", "events_per_s", "%.2f", notCompared}, {"events at most", "events_max", "%.0f", notCompared},
			{"B/s to each", "bytes_per_s", "%.0f", notCompared}}, cores...)},
	}
}

// parts has a row for each part, with its goal and in how many runs it was met.
func (o *options) parts(s sheet, runs map[string][]record) table {
	t := table{title: s.title, head: []string{"server", "part"}}
	for _, c := range s.columns {
		t.head = append(t.head, c.head)
	}
	t.head = append(t.head, "goal", "met")
	for _, server := range servers() {
		clean, _ := o.clean(runs[server.name])
		for _, name := range partNames(clean) {
			list := partsOf(clean, name)
			row := []string{server.name, name}
			for _, c := range s.columns {
				row = append(row, spread(values(list, c.key), c.format))
			}
			met := 0
			for _, r := range list {
				if r["met"] == true {
					met++
				}
			}
			t.rows = append(t.rows, append(row, fmt.Sprint(list[0]["goal"]), fmt.Sprintf("%d of %d", met, len(list))))
		}
	}
	return t
}

// partNames is what was measured, in the order of the first run.
func partNames(runs []record) (names []string) {
	if len(runs) == 0 {
		return nil
	}
	list, _ := runs[0]["parts"].([]any)
	for _, p := range list {
		if part, ok := p.(map[string]any); ok {
			names = append(names, fmt.Sprint(part["name"]))
		}
	}
	return names
}

// partsOf is the parts of one name of several runs.
func partsOf(runs []record, name string) (list []record) {
	for _, r := range runs {
		all, _ := r["parts"].([]any)
		for _, p := range all {
			if part, ok := p.(map[string]any); ok && part["name"] == name {
				list = append(list, part)
			}
		}
	}
	return list
}
