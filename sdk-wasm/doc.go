// Package sdk holds the source of the plugin SDKs of all languages, so that the
// developer's tool can begin a project without network. sdk.zip is made of the folders
// beside this file by go generate, and a test sees to it that it is current.
package sdk
