// Package limit keeps each connection within its budget: a token bucket for each
// class of actions. Its stage runs before anything that costs.
package limit
