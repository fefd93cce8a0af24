package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one source. The parser recurses, and aliases multiply: neither may
// cost more than a file written by hand ever needs.
const (
	maxBytes  = 1 << 20
	maxTokens = 1 << 16
	maxDepth  = 64
	maxNodes  = 1 << 16 // with aliases expanded
)

// parsing turns one YAML text into nodes and gathers what is wrong with it.
type parsing struct {
	origin  Origin // of the text, without line and column
	expand  func(string) (string, error)
	anchors map[string]*node
	sizes   map[*node]int // nodes below an anchored one
	nodes   int
	full    bool // a bound was met; reported once
	faults  []Fault
}

// parse reads one YAML text; nil for one that says nothing. expand, if not nil,
// is applied to texts.
func parse(src []byte, origin Origin, expand func(string) (string, error)) (*node, []Fault) {
	p := &parsing{origin: origin, expand: expand, anchors: map[string]*node{}, sizes: map[*node]int{}}
	doc := p.document(src)
	if len(p.faults) > 0 {
		return doc, p.faults
	}
	return doc, nil
}

func (p *parsing) fail(at Origin, path, format string, args ...any) {
	p.faults = append(p.faults, Fault{Origin: at, Path: path, Problem: fmt.Sprintf(format, args...)})
}

func (p *parsing) document(src []byte) *node {
	switch {
	case len(src) > maxBytes:
		p.fail(p.origin, "", "larger than %v", Size(maxBytes))
		return nil
	case !utf8.Valid(src):
		p.fail(p.origin, "", "not UTF-8 text")
		return nil
	}
	file := p.ast(strings.TrimPrefix(string(src), "\ufeff"))
	if file == nil {
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			p.fail(p.at(d.Body), "", "a second document; one file holds one")
			return nil
		}
		body = d.Body
	}
	if body == nil {
		return nil
	}
	return p.node(body, "", 0)
}

// ast runs the YAML parser behind the bounds. The parser is not ours, and reads
// what comes from outside: a panic of it is a fault of the text.
func (p *parsing) ast(src string) (file *ast.File) {
	defer func() {
		if r := recover(); r != nil {
			p.fail(p.origin, "", "not readable as YAML")
			file = nil
		}
	}()
	tokens := lexer.Tokenize(src)
	if at := beyond(tokens); at != nil {
		p.fail(p.place(at.Position), "", "nested deeper than %d, or longer than %d words", maxDepth, maxTokens)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file
	}
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok && syntax.Token != nil {
		words := advise(syntax.Message)
		if reference(syntax.Token) {
			words += "; within { } or [ ] a text with ${...} needs quotes"
		}
		p.fail(p.place(syntax.Token.Position), "", "%s", words)
		return nil
	}
	p.fail(p.origin, "", "not readable as YAML")
	return nil
}

// reference reports whether the brace of a ${NAME} is taken for one of YAML.
func reference(t *token.Token) bool {
	if t.Value == "$" && t.Next != nil {
		t = t.Next
	}
	return t.Type == token.MappingStartType && t.Prev != nil && strings.HasSuffix(t.Prev.Value, "$")
}

// advise says in a writer's words what the parser says in its own.
func advise(message string) string {
	for _, a := range [...]struct{ part, words string }{
		{"found character '\t'", "a tab; indent with spaces"},
		{"mapping value is not allowed", `a colon that cannot stand here; is the line indented like its neighbours, and is a text with ": " in quotes?`},
		{"unexpected directive value", "a text that begins with % needs quotes"},
		{"unexpected scalar value type", "not a value; a text that begins with * or & needs quotes"},
		{"is a reserved character", message + "; a text that begins with it needs quotes"},
	} {
		if strings.Contains(message, a.part) {
			return a.words
		}
	}
	return message
}

// beyond finds the token at which a text is too deep or too long to be parsed.
func beyond(tokens token.Tokens) *token.Token {
	var columns []int // of the block collections that are open
	flow, prefixes := 0, 0
	for i, t := range tokens {
		if i >= maxTokens {
			return t
		}
		switch t.Type {
		case token.TagType, token.AnchorType:
			prefixes++
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			prefixes = 0
			if flow > 0 {
				break
			}
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		if flow+len(columns) > maxDepth || prefixes > maxDepth {
			return t
		}
	}
	return nil
}

func (p *parsing) place(pos *token.Position) Origin {
	o := p.origin
	if pos != nil {
		o.Line, o.Column = pos.Line, pos.Column
	}
	return o
}

// at is where a node begins; a block map begins at its first key, which is not
// what the parser calls its token.
func (p *parsing) at(n ast.Node) Origin {
	for {
		m, ok := n.(*ast.MappingNode)
		if !ok || m.IsFlowStyle || len(m.Values) == 0 || m.Values[0].Key == nil {
			break
		}
		n = m.Values[0].Key
	}
	if t := n.GetToken(); t != nil {
		return p.place(t.Position)
	}
	return p.origin
}
