package wire

// Version is the protocol version of go-plugin's handshake. It changes when a
// program of the version before would misunderstand the node, or the other way
// round; new fields do not change it.
const Version = 1

// Cookie of go-plugin's handshake: a program that is started otherwise says what it
// is, and ends. It is no secret.
const (
	CookieKey   = "HEDDLE_NATIVE_PLUGIN"
	CookieValue = "b8a5f3c1-started-by-a-heddle-node"
)

// LifelineEnv names the environment variable with the number of a descriptor that
// nobody writes to: it ends with the node's process.
const LifelineEnv = "HEDDLE_LIFELINE_FD"

// MaxMessage bounds a message of the protocol in bytes, either way.
const MaxMessage = 16 << 20

// Kinds of plugins, as the configuration and go-plugin's handshake name them.
const (
	KindAuthenticator = "authenticator"
	KindNotifier      = "notifier"
	KindSink          = "sink"
	KindModerator     = "moderator"
)
