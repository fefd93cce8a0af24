// Package config reads what a person configures into any struct with tags, and
// says what is in force and why. It stands before the route: app loads once at
// start and hands each package its own Config. It imports nothing of the
// project and owns no goroutine.
//
// A field is described by its tags:
//
//	Idle time.Duration `yaml:"idle" default:"25s" min:"1s" max:"10m" doc:"How long a silent connection is kept."`
//
//	yaml      the key, snake_case; "-" leaves the field out; ",inline" takes an embedded struct's keys
//	default   the value when no source says one; a list is "a,b" or YAML, a map is YAML
//	doc       one sentence, with the unit
//	min, max  bounds of a number, duration or size; of the length of a text, list or map
//	enum      the values that a text may have, or each element of a list
//	required  "true": some source must say it, and not with an empty text
//	secret    "true": printed as ***, and never repeated in a fault
//
// Sources, the later over the earlier: default tags, files in their order,
// environment variables, flags. Maps are merged key by key, everything else is
// replaced. ${NAME} inside a text of a file stands for the environment variable
// NAME; $${ stands for ${ itself.
package config
