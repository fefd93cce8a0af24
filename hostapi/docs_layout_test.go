package hostapi_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
)

// probe is a record whose fields all have another value.
func probe() (b []byte, want map[string]string) {
	r := hostapi.Record{
		Hook: 9, Codec: 2, Flags: 5, Attempt: 1, Sequence: 1001, Time: -1002, Connection: 1003, Whole: 1004,
		Tenant: "te", User: "use", Device: "devi", Room: "room1", Action: "action", ID: "id-the7",
		Attributes: []hostapi.Attribute{{Name: "n", Type: hostapi.AttrInt, Int: 77}}, Payload: []byte("payload89"),
	}
	b = make([]byte, r.Size())
	r.Put(b)
	return b, map[string]string{
		"size of the record": fmt.Sprint(r.Size()), "size of the header": fmt.Sprint(hostapi.HeaderSize), "hook": "9", "codec of the payload": "2", "flags": "5", "attempt": "1",
		"sequence": "1001", "time": "-1002", "connection": "1003", "payload size": "1004", "attributes": "1",
		"tenant": "te", "user": "use", "device": "devi", "room": "room1", "action": "action", "id": "id-the7", "payload": "payload89",
	}
}

// field reads what a row of a layout says.
func field(t *testing.T, b []byte, row []string) string {
	t.Helper()
	at, err := strconv.Atoi(row[0])
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	switch row[1] {
	case "u8":
		return fmt.Sprint(b[at])
	case "u16":
		return fmt.Sprint(le.Uint16(b[at:]))
	case "u32":
		return fmt.Sprint(le.Uint32(b[at:]))
	case "u64":
		return fmt.Sprint(le.Uint64(b[at:]))
	case "i64", "8 bytes":
		return fmt.Sprint(int64(le.Uint64(b[at:])))
	case "ref":
		from, n := le.Uint32(b[at:]), le.Uint32(b[at+4:])
		return string(b[from : from+n])
	}
	t.Fatalf("there is no type %q", row[1])
	return ""
}

// layouts are the three tables that begin alike, in their order.
func layouts(t *testing.T) (tables [3][][]string) {
	t.Helper()
	n := -1
	for line := range strings.Lines(between(t, "### Records", "### Statuses")) {
		line = strings.TrimSpace(line)
		if line == "| offset | type | field |" {
			n++
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if _, err := strconv.Atoi(strings.TrimSpace(cells[0])); err != nil || len(cells) != 3 || n < 0 {
			continue
		}
		row := []string{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])}
		tables[n] = append(tables[n], row)
	}
	if n != 2 {
		t.Fatalf("%d layouts, want 3", n+1)
	}
	return tables
}

// word is what a row's field is called: what stands before the first mark.
func word(s string) string {
	if i := strings.IndexAny(s, ":,;"); i > 0 {
		return s[:i]
	}
	return s
}

func holds(t *testing.T, what string, b []byte, rows [][]string, want map[string]string) {
	t.Helper()
	seen, end := 0, 0
	for _, row := range rows {
		if row[1] == "" { // text behind the numbers
			continue
		}
		name := word(row[2])
		w, known := want[name]
		if !known {
			t.Errorf("%s: there is no field %q", what, name)
			continue
		}
		if at, _ := strconv.Atoi(row[0]); at != end {
			t.Errorf("%s: %s is at %d, the field before it ends at %d", what, name, at, end)
		}
		end += map[string]int{"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i64": 8, "8 bytes": 8, "ref": 8}[row[1]]
		if name == "attributes" && row[1] == "ref" {
			continue
		}
		if got := field(t, b, row); got != w {
			t.Errorf("%s: %s at %s is %q, want %q", what, name, row[0], got, w)
		}
		seen++
	}
	if seen != len(want) {
		t.Errorf("%s: %d fields, want %d", what, seen, len(want))
	}
}

func TestDocumentHasTheLayout(t *testing.T) {
	tables := layouts(t)
	b, want := probe()
	holds(t, "record", b, tables[0], want)

	for _, row := range tables[0] {
		if row[1] == "ref" && row[2] == "attributes" {
			at, _ := strconv.Atoi(row[0])
			from, n := binary.LittleEndian.Uint32(b[at:]), binary.LittleEndian.Uint32(b[at+4:])
			holds(t, "attribute", b[from:from+n], tables[1], map[string]string{"size of the attribute": fmt.Sprint(n), "type": "2", "0": "0", "length of the name": "1", "value": "77"})
		}
	}

	a := hostapi.Action{Kind: hostapi.Emit, Record: 3, Flags: 1, Code: 4, Number: -5, A: []byte("aa"), B: []byte("bbb"), C: []byte("cccc"), D: []byte("ddddd")}
	b = make([]byte, a.Size())
	a.Put(b)
	holds(t, "action", b, tables[2], map[string]string{
		"size of the action": fmt.Sprint(a.Size()), "kind": "5", "record": "3", "flags": "1", "code": "4", "number": "-5", "a": "aa", "b": "bbb", "c": "cccc", "d": "ddddd",
	})
}

// TestDocumentHasTheKinds: small numbers that the text lists.
func TestDocumentHasTheKinds(t *testing.T) {
	says(t, fmt.Sprintf("| codec | %d none, %d json, %d bytes |", hostapi.CodecNone, hostapi.CodecJSON, hostapi.CodecBytes))
	says(t, fmt.Sprintf("| flag | %d durable: ", hostapi.FlagDurable))
	says(t, fmt.Sprintf("; %d prefix: ", hostapi.FlagPrefix))
	says(t, fmt.Sprintf("; %d server: ", hostapi.FlagServer))
	says(t, fmt.Sprintf("| type | %d none, %d bool (0 or 1), %d int (i64), %d float (f64), %d string, %d json ",
		hostapi.AttrNone, hostapi.AttrBool, hostapi.AttrInt, hostapi.AttrFloat, hostapi.AttrString, hostapi.AttrJSON))
	says(t, fmt.Sprintf("An action is %d bytes, ", hostapi.ActionSize))
	says(t, fmt.Sprintf("size of the header: %d |", hostapi.HeaderSize))
	says(t, fmt.Sprintf("flag %d: durable", hostapi.EmitDurable))
	says(t, fmt.Sprintf("required; answers %d |", hostapi.Version))
	says(t, fmt.Sprintf("\nVersion %d. ", hostapi.Version))
	for n, name := range map[hostapi.Lookup]string{
		hostapi.LookupRoom: "room", hostapi.LookupMembers: "members", hostapi.LookupMember: "member", hostapi.LookupPresence: "presence",
	} {
		says(t, fmt.Sprintf("| %d %s |", n, name))
	}
}

func says(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(readDocument(t), text) {
		t.Errorf("the document does not say %q", text)
	}
}

var dumped = regexp.MustCompile(`(?m)^([0-9a-f]{4})  ((?:[0-9a-f]{2} )+) `)

// TestDocumentsExamplesAreGolden: each line of the examples is that of the file which is
// named above it.
func TestDocumentsExamplesAreGolden(t *testing.T) {
	parts := strings.Split(between(t, "### An example", "### Versions"), "```text\n")
	for i, name := range []string{"records.bin", "actions.bin"} {
		golden, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if len(parts) != 3 || !strings.Contains(parts[i], name) {
			t.Fatalf("want an example of %s", name)
		}
		lines := dumped.FindAllStringSubmatch(parts[i+1], -1)
		if len(lines) != strings.Count(strings.Split(parts[i+1], "```")[0], "\n") {
			t.Errorf("%s: not every line is bytes", name)
		}
		var all []byte
		first := 0
		for k, m := range lines {
			at, _ := strconv.ParseInt(m[1], 16, 32)
			if k == 0 {
				first = int(at)
			}
			if int(at) != first+len(all) {
				t.Errorf("%s: a line is missing before %s", name, m[1])
			}
			b, _ := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
			all = append(all, b...)
		}
		if size := int(binary.LittleEndian.Uint32(golden[first:])); size != len(all) {
			t.Errorf("%s: %d bytes, want %d", name, len(all), size)
		}
		if string(golden[first:first+len(all)]) != string(all) {
			t.Errorf("%s: other bytes than\n%s", name, hex.Dump(golden[first:first+len(all)]))
		}
	}
}
