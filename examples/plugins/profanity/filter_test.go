package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func filterOf(t testing.TB, config string) *filter {
	t.Helper()
	f, err := parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const list = `{"words": ["darn", "heck", "gosh", "blast", "zut", "ёлки", "müll"]}`

func TestMask(t *testing.T) {
	f := filterOf(t, list)
	for name, c := range map[string]struct {
		payload, want string
		n             int
	}{
		"alone":                    {`{"text":"darn"}`, `{"text":"****"}`, 1},
		"in a sentence":            {`{"text":"oh darn, what the heck!"}`, `{"text":"oh ****, what the ****!"}`, 2},
		"case":                     {`{"text":"DaRN Heck"}`, `{"text":"**** ****"}`, 2},
		"part of a word":           {`{"text":"darned checker heckle undarn"}`, "", 0},
		"digits beside it":         {`{"text":"darn2 2darn"}`, "", 0},
		"leet":                     {`{"text":"d4rn h3ck bl4$t g0sh d@rn 7ut"}`, `{"text":"**** **** ***** **** **** 7ut"}`, 5},
		"a mention":                {`{"text":"@darn darn@ darn$"}`, `{"text":"@**** ****@ ****$"}`, 3},
		"punctuation":              {`{"text":"_darn_ *darn* (darn) darn's darn-it \"darn\""}`, `{"text":"_****_ ****** (****) ****'s ****-it \"****\""}`, 6},
		"line break":               {`{"text":"a\ndarn\tb\\darn"}`, `{"text":"a\n****\tb\\****"}`, 2},
		"escapes":                  {`{"text":"d\u0061rn \u0044\u0041\u0052\u004E x"}`, `{"text":"**** **** x"}`, 2},
		"signs by escape":          {`{"text":"d\u0040rn d@\u0072n darn\u0040 darn@\n d@@rn"}`, `{"text":"**** **** ****\u0040 ****@\n d@@rn"}`, 4},
		"after an escape":          {`{"text":"\u00e4darn \u0020darn \ud83d\ude00darn"}`, `{"text":"\u00e4darn \u0020**** \ud83d\ude00****"}`, 2},
		"half of a pair":           {`{"text":"\ud83ddarn"}`, `{"text":"\ud83d****"}`, 1},
		"letters of two scripts":   {`{"text":"Ёлки зелёлки MÜLL müller"}`, `{"text":"**** зелёлки **** müller"}`, 2},
		"letters by escape":        {`{"text":"\u0401\u043B\u043a\u0438"}`, `{"text":"****"}`, 1},
		"a mark makes another one": {"{\"text\":\"darn\u0301 d\u0301arn\"}", "", 0},
		"strange cases":            {`{"text":"goſh hecK"}`, `{"text":"**** ****"}`, 2},
		"numbers":                  {`{"text":"4 455 2017"}`, "", 0},
		"other members":            {`{"meta":{"text":"darn","l":["darn",{"text":"heck"}]},"body":"darn","text":"ok"}`, "", 0},
		"all else stays":           {`{ "meta" : {"a":[1, 2.50,"x\u0041"]} , "text" : "a darn" , "z":null,"n":-1e5 }`, `{ "meta" : {"a":[1, 2.50,"x\u0041"]} , "text" : "a ****" , "z":null,"n":-1e5 }`, 1},
		"the name by escape":       {`{"te\u0078t":"darn"}`, `{"te\u0078t":"****"}`, 1},
		"twice the name":           {`{"text":"darn","text":"heck"}`, `{"text":"****","text":"****"}`, 2},
		"no text":                  {`{"text":["darn"],"x":"darn"}`, "", 0},
		"no object":                {`["darn"]`, "", 0},
		"cut off":                  {`{"text":"darn`, "", 0},
		"not UTF-8":                {"{\"text\":\"\xff darn \xc3darn\"}", "{\"text\":\"\xff **** \xc3****\"}", 2},
		"long":                     {`{"text":"` + strings.Repeat("x", 100) + `darn ` + strings.Repeat("darn", 100) + `"}`, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, n := f.mask([]byte(c.payload))
			want := c.want
			if want == "" {
				want = c.payload
			}
			if string(got) != want || n != c.n {
				t.Errorf("%s\n%d: %s\nwant %d: %s", c.payload, n, got, c.n, want)
			}
			if _, found := f.find([]byte(c.payload), 0); !found && n > 0 {
				t.Error("the first look has not found it")
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for config, want := range map[string]string{
		list:                                 "",
		`{"mode":"refuse","words":["darn"]}`: "",
		``:                                   "there is no word",
		`{}`:                                 "there is no word",
		`{"words":[]}`:                       "there is no word",
		`{"words":"darn"}`:                   "want a list",
		`{"words":["darn",1]}`:               "1 is none",
		`{"words":["two words"]}`:            `"two words" is none`,
		`{"words":[""]}`:                     "is none",
		`{"words":["455"]}`:                  "is none",
		`{"words":["darn"],"mode":"sing"}`:   "mode: want",
		`{"words":["darn"],"made":"mask"}`:   `there is no member "made"`,
	} {
		f, err := parse([]byte(config))
		switch {
		case want == "" && (err != nil || f.refuse != strings.Contains(config, "refuse")):
			t.Errorf("%s: %v", config, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

func TestNothingIsAllocatedForCleanMessages(t *testing.T) {
	f := filterOf(t, list)
	payload := []byte(`{"text":"good morning, did you check the hecklers' darned dam \u00e4 ü?","meta":{"a":1}}`)
	if n := testing.AllocsPerRun(100, func() {
		if _, found := f.find(payload, 0); found {
			t.Error("found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMask: whatever comes, nothing breaks; JSON stays JSON, and a second pass finds
// nothing any more.
func FuzzMask(f *testing.F) {
	f.Add([]byte(`{"text":"d\u0061rn h3ck","meta":{"a":[1,"\""]}}`))
	f.Add([]byte(`{"text":"\ud83d\ude00darn`))
	f.Add([]byte(`{"text":"d@`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		filter := filterOf(t, list)
		got, n := filter.mask(payload)
		once := string(got)
		if json.Valid(payload) && !json.Valid(got) {
			t.Fatalf("%q became %q", payload, got)
		}
		if n == 0 && once != string(payload) || len(once) > len(payload) {
			t.Fatalf("%q became %q", payload, once)
		}
		if again, n := filter.mask([]byte(once)); n != 0 {
			t.Fatalf("%q, then %q: %d", once, again, n)
		}
	})
}

func BenchmarkClean(b *testing.B) {
	f := filterOf(b, list)
	payload := []byte(`{"text":"` + strings.Repeat("the quick brown fox jumps over the lazy dog. ", 5) + `"}`)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, found := f.find(payload, 0); found {
			b.Fatal("found")
		}
	}
}

func TestLetter(t *testing.T) {
	for r := rune(0x80); r < 0x20000; r++ {
		raw := []byte(string(r))
		if c, size := letter(raw, 0, false); c != anyCase(r) || size != len(raw) {
			t.Fatalf("%c is %c of %d bytes, want %c", r, c, size, anyCase(r))
		}
	}
}
