// Package mongo has the tests of runtime/adapter/mongo against a server.
package mongo
