// Package planted has mistakes that can be built into a node, so that tests of whole
// clusters show that they find such ones. It has no place in the route: where one of the
// constants is true, the code beside it leaves out what it is there for.
//
// In a node as it is built they are false, and the compiler removes them. Built with the
// tag planted, a node makes those that the variable HEDDLE_PLANTED names, with commas.
package planted
