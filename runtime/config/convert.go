package config

import (
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// node converts a parsed node. It never returns nil: what is faulty becomes
// formBad, so that the rest is still looked at.
func (p *parsing) node(n ast.Node, path string, depth int) *node {
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		p.overflow(n)
		return &node{form: formBad, origin: p.origin}
	}
	out := &node{form: formNull, origin: p.origin}
	if n == nil {
		return out
	}
	out.origin = p.at(n)
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		out.form, out.text = formBool, n.Token.Value
	case *ast.IntegerNode:
		out.form, out.text = formNumber, n.Token.Value
	case *ast.FloatNode:
		out.form, out.text = formNumber, n.Token.Value
	case *ast.InfinityNode, *ast.NanNode:
		out.form, out.text = formPlain, n.GetToken().Value
	case *ast.StringNode:
		out.form = formPlain
		if n.Token.Type != token.StringType {
			out.form = formQuoted
		}
		p.text(out, n.Value, path)
	case *ast.LiteralNode:
		out.form = formQuoted
		if n.Value != nil {
			p.text(out, n.Value.Value, path)
		}
	case *ast.SequenceNode:
		out.form = formList
		for i, v := range n.Values {
			out.items = append(out.items, p.node(v, join(path, index(i)), depth+1))
		}
	case *ast.MappingNode:
		p.mapping(out, n.Values, path, depth)
	case *ast.MappingValueNode:
		p.mapping(out, []*ast.MappingValueNode{n}, path, depth)
	case *ast.AnchorNode:
		return p.anchor(n, path, depth)
	case *ast.AliasNode:
		return p.alias(n, path)
	case *ast.TagNode:
		p.fail(out.origin, path, "YAML tags such as %s are not used here", n.GetToken().Value)
		out.form = formBad
	default:
		p.fail(out.origin, path, "not expected here")
		out.form = formBad
	}
	return out
}

func (p *parsing) overflow(n ast.Node) {
	if p.full {
		return
	}
	p.full = true
	at := p.origin
	if n != nil {
		at = p.at(n)
	}
	p.fail(at, "", "more than %d values, or nested deeper than %d, aliases counted", maxNodes, maxDepth)
}

func (p *parsing) text(out *node, text, path string) {
	out.text = text
	if p.expand == nil {
		return
	}
	expanded, err := p.expand(text)
	if err != nil {
		p.fail(out.origin, path, "%v", err)
		out.form = formBad
		return
	}
	if expanded != text {
		out.text, out.template = expanded, text
	}
}

func (p *parsing) mapping(out *node, values []*ast.MappingValueNode, path string, depth int) {
	out.form = formMap
	seen := map[string]Origin{}
	var merged []*node
	for _, v := range values {
		if v.Key == nil {
			p.fail(p.at(v), path, "a key is missing")
			continue
		}
		at := p.at(v.Key)
		if v.Key.IsMergeKey() {
			merged = append(merged, p.inherited(v.Value, path, depth)...)
			continue
		}
		key, ok := keyText(v.Key)
		if !ok {
			p.fail(at, path, "a key must be a plain text")
			continue
		}
		child := join(path, mapKey(key))
		if first, ok := seen[key]; ok {
			p.fail(at, child, "said twice; first in line %d", first.Line)
			continue
		}
		seen[key] = at
		value := p.node(v.Value, child, depth+1)
		if m, ok := v.Value.(*ast.MappingNode); ok && !m.IsFlowStyle {
			value.origin = at // a section begins at its name
		}
		out.entries = append(out.entries, entry{key, at, value})
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if _, ok := seen[e.key]; !ok {
				seen[e.key] = e.origin
				out.entries = append(out.entries, e)
			}
		}
	}
}

// inherited are the maps of a merge key, the first over the later ones.
func (p *parsing) inherited(n ast.Node, path string, depth int) []*node {
	v := p.node(n, path, depth+1)
	maps := []*node{v}
	if v.form == formList {
		maps = v.items
	}
	if slices.ContainsFunc(maps, func(m *node) bool { return m.form != formMap }) {
		p.fail(v.origin, path, "<< takes a map, or a list of maps")
		return nil
	}
	return maps
}

func keyText(k ast.MapKeyNode) (string, bool) {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return k.GetToken().Value, true
	case *ast.MappingKeyNode:
		if inner, ok := k.Value.(ast.MapKeyNode); ok {
			return keyText(inner)
		}
	}
	return "", false
}

func (p *parsing) anchor(n *ast.AnchorNode, path string, depth int) *node {
	before := p.nodes
	out := p.node(n.Value, path, depth+1)
	if n.Name != nil {
		p.anchors[n.Name.GetToken().Value] = out
		p.sizes[out] = p.nodes - before
	}
	return out
}

// alias shares the node of an anchor, and counts its nodes again.
func (p *parsing) alias(n *ast.AliasNode, path string) *node {
	at := p.at(n)
	name := ""
	if n.Value != nil {
		name = n.Value.GetToken().Value
	}
	target, ok := p.anchors[name]
	if !ok {
		p.fail(at, path, "no anchor &%s before this", name)
		return &node{form: formBad, origin: at}
	}
	if p.nodes += p.sizes[target]; p.nodes > maxNodes {
		p.overflow(n)
		return &node{form: formBad, origin: at}
	}
	return target
}
