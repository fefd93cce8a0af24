package manifest

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/hostapi"
)

var (
	pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	actionName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}:[a-z][a-z0-9_]{0,31}$`)
	pattern    = regexp.MustCompile(`^(\*|[A-Za-z0-9._~@|+=:/-]{1,200}\*?)$`)
	hostName   = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*$`)
	attrName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
)

// Bounds of a manifest.
const (
	maxBindings = 32
	maxPatterns = 64
	maxActions  = 64
	maxHosts    = 32
	maxConfig   = 64 << 10
	maxDepth    = 8 // of an attribute's path
)

// Check reports what the single options can not tell.
func (m *Manifest) Check(report func(path, problem string)) {
	if !pluginName.MatchString(m.Name) {
		report("name", "want lower-case letters, digits and hyphens, a letter first, at most 40")
	}
	if len(m.Version) > 40 {
		report("version", "at most 40 bytes")
	}
	if len(m.Bindings)+len(m.Actions) == 0 {
		report("bindings", "neither bindings nor actions: the plugin would never be asked")
	}
	bounded(report, "bindings", len(m.Bindings), maxBindings)
	bounded(report, "actions", len(m.Actions), maxActions)
	bounded(report, "attributes", len(m.Attributes), hostapi.MaxAttribute)
	bounded(report, "hosts", len(m.Hosts), maxHosts)
	if len(m.Config) > maxConfig {
		report("config", fmt.Sprintf("%d bytes; at most %d", len(m.Config), maxConfig))
	}
	m.checkActions(report)
	m.checkAttributes(report)
	for i, c := range m.Capabilities {
		if !slices.Contains(hostapi.Capabilities(), hostapi.Capability(c)) {
			report(fmt.Sprintf("capabilities[%d]", i), fmt.Sprintf("there is no capability %q; there are %v", c, hostapi.Capabilities()))
		}
	}
	for i, h := range m.Hosts {
		if err := checkHost(h); err != nil {
			report(fmt.Sprintf("hosts[%d]", i), err.Error())
		}
	}
	if len(m.Hosts) > 0 != m.Can(hostapi.CapHTTP) {
		report("hosts", "hosts and the capability http go together")
	}
	if m.Recycle.Memory > m.Limits.Memory {
		report("recycle.memory", "more than limits.memory")
	}
}

func bounded(report func(path, problem string), path string, n, most int) {
	if n > most {
		report(path, fmt.Sprintf("%d; at most %d", n, most))
	}
}

func (m *Manifest) checkActions(report func(path, problem string)) {
	seen := map[string]bool{}
	for i, a := range m.Actions {
		path := fmt.Sprintf("actions[%d].name", i)
		switch {
		case !actionName.MatchString(a.Name):
			report(path, "want noun:verb, of lower-case letters, digits and underscores")
		case seen[a.Name]:
			report(path, "is there twice")
		}
		seen[a.Name] = true
	}
}

func (m *Manifest) checkAttributes(report func(path, problem string)) {
	seen := map[string]bool{}
	for i, a := range m.Attributes {
		path := fmt.Sprintf("attributes[%d]", i)
		switch {
		case !attrName.MatchString(a.Name):
			report(path+".name", "want lower-case letters, digits and underscores, a letter first, at most 32")
		case seen[a.Name]:
			report(path+".name", "is there twice")
		case a.Path == "" || strings.Count(a.Path, ".") >= maxDepth || slices.Contains(strings.Split(a.Path, "."), ""):
			report(path+".path", fmt.Sprintf("want 1 to %d names with dots between", maxDepth))
		}
		seen[a.Name] = true
	}
}

// checkHost refuses what is no host name: addresses cannot be allowed, since who
// has a name decides where it leads, and private addresses are refused when a
// request is made.
func checkHost(h string) error {
	name, port, found := strings.Cut(h, ":")
	if n, err := strconv.Atoi(port); found && (err != nil || n < 1 || n > 65535) {
		return fmt.Errorf("%q is no port", port)
	}
	if net.ParseIP(name) != nil || !hostName.MatchString(name) {
		return fmt.Errorf("want a host name of lower-case letters with a dot in it, perhaps with *. in front and a port behind: not %q", h)
	}
	return nil
}

// bindable are the hooks that bindings name; the others follow from actions, timers
// and requests.
var bindable = []hostapi.Hook{
	hostapi.HookBefore, hostapi.HookAfter, hostapi.HookConnect, hostapi.HookDisconnect, hostapi.HookJoin, hostapi.HookLeave, hostapi.HookRequest,
}

var namespaces = []string{"/", "/voice", "/video", "/collab", "/notification"}

// IsNamespace reports whether there is such a namespace.
func IsNamespace(s string) bool { return slices.Contains(namespaces, s) }

// Check reports what the single options can not tell.
func (b *Binding) Check(report func(path, problem string)) {
	for i, h := range b.Hooks {
		if !slices.Contains(bindable, hostapi.ParseHook(h)) {
			report(fmt.Sprintf("hooks[%d]", i), fmt.Sprintf("no binding has the hook %q; there are %v", h, bindable))
		}
	}
	for i, s := range b.Spaces {
		if !IsNamespace(s) {
			report(fmt.Sprintf("namespaces[%d]", i), fmt.Sprintf("there is no namespace %q; there are %v", s, namespaces))
		}
	}
	for name, list := range map[string][]string{"actions": b.Actions, "rooms": b.Rooms} {
		bounded(report, name, len(list), maxPatterns)
		for i, p := range list {
			if !pattern.MatchString(p) {
				report(fmt.Sprintf("%s[%d]", name, i), fmt.Sprintf("want a name, or the beginning of one with a star behind it, not %q", p))
			}
		}
	}
}
