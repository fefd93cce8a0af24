// Package decode is the first stage: it turns the bytes of one envelope into an
// event, in the connection's dialect, and finds the declaration of its action.
package decode
