package main

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

// delivery is so much of a body as is told:
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
type delivery struct {
	Action     string
	Repository struct {
		FullName string `json:"full_name"`
	}
	Sender struct{ Login string }

	// of a push
	Ref        string
	Compare    string
	Created    bool
	Deleted    bool
	Forced     bool
	Commits    []struct{}
	HeadCommit *struct{ Message string } `json:"head_commit"`

	// of issues
	Issue *struct {
		Number int
		Title  string
		URL    string `json:"html_url"`
	}
}

// notice is what a room is told. Without a text it is told nothing.
type notice struct{ event, repository, text string }

// read makes a notice of a body. Its errors are for the sender.
func read(event string, body []byte) (notice, error) {
	n := notice{event: event}
	if event == "" {
		return n, errors.New("want X-GitHub-Event")
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		return n, errors.New("the body is no JSON of GitHub's (content type application/json): " + err.Error())
	}
	n.repository = d.Repository.FullName
	var err error
	switch event {
	case "push":
		n.text, err = d.push()
	case "issues":
		n.text, err = d.issue()
	}
	if err == nil && n.text != "" && (n.repository == "" || d.Sender.Login == "") {
		err = errors.New("want repository.full_name and sender.login")
	}
	return n, err
}

func (d *delivery) push() (string, error) {
	name, isBranch := strings.CutPrefix(d.Ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(d.Ref, "refs/tags/")
	what := "the branch " + name
	if isTag {
		what = "the tag " + tag
	}
	at := " of " + d.Repository.FullName
	switch {
	case !isBranch && !isTag:
		return "", errors.New("ref: want refs/heads/… or refs/tags/…")
	case d.Deleted:
		return line(d.Sender.Login + " deleted " + what + at), nil
	case isTag || d.Created && len(d.Commits) == 0:
		return line(d.Sender.Login + " made " + what + at), nil
	case d.HeadCommit == nil:
		return "", errors.New("head_commit: want the newest commit")
	}
	verb := " pushed "
	if d.Forced {
		verb = " force-pushed "
	}
	commits := strconv.Itoa(len(d.Commits)) + " commits"
	if len(d.Commits) == 1 {
		commits = "1 commit"
	}
	return line(d.Sender.Login+verb+commits+" to "+what+at+": "+d.HeadCommit.Message) + " " + line(d.Compare), nil
}

// told are the actions of issues that are. Others, as labeled, come by the dozen.
var told = map[string]bool{"opened": true, "closed": true, "reopened": true}

func (d *delivery) issue() (string, error) {
	switch {
	case d.Issue == nil || d.Issue.Number <= 0 || d.Action == "":
		return "", errors.New("want action, and issue.number")
	case !told[d.Action]:
		return "", nil
	}
	return line(d.Sender.Login+" "+d.Action+" #"+strconv.Itoa(d.Issue.Number)+" of "+d.Repository.FullName+": "+d.Issue.Title) + " " + line(d.Issue.URL), nil
}

// line is the first line of a text, at most so long that it is readable in a room.
func line(text string) string {
	const longest = 200
	text = strings.TrimSpace(text)
	if end := strings.IndexAny(text, "\r\n"); end >= 0 {
		text = text[:end]
	}
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// message is the payload of a message:send: the text for people, the rest for clients
// that show such messages in a way of their own.
func (n *notice) message() []byte {
	b := heddle.AppendQuoted([]byte(`{"text":`), strings.TrimSpace(n.text))
	b = heddle.AppendQuoted(append(b, `,"meta":{"github":{"event":`...), n.event)
	b = heddle.AppendQuoted(append(b, `,"repository":`...), n.repository)
	return append(b, "}}}"...)
}
