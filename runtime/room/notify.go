package room

// What TypeConfig.Notify may be set to.
const (
	NotifyAuto     = "auto"
	NotifyOff      = "off"
	NotifyMentions = "mentions"
	NotifyAll      = "all"
)

// FeatureNotification is the feature of a user's own room whose sub-room has the
// events of the namespace "/notification": the server alone publishes there, nothing
// of it is kept, and it is there whatever the type's features are.
const FeatureNotification = "notification"

// OfNotifications is the sub-room of a user's notifications.
func OfNotifications(user string) string { return OfUser(user) + "/" + FeatureNotification }

// NotifyMode is Notify with NotifyAuto resolved.
func (t *TypeConfig) NotifyMode() string {
	switch {
	case t.Notify != "" && t.Notify != NotifyAuto:
		return t.Notify
	case t.Members || t.Join == JoinSelf:
		return NotifyAll
	}
	return NotifyMentions
}
