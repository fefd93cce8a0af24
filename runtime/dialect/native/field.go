package native

// field is a name that the protocol gives a meaning, in the envelope, in its
// "payload" or in its "from".
type field uint8

const (
	unknown field = iota
	fieldV
	fieldType
	fieldID
	fieldTenant
	fieldTimestamp
	fieldRoom
	fieldFrom
	fieldEpoch
	fieldOffset
	fieldRef
	fieldExpires
	fieldPayload
	fieldAction
	fieldData
	fieldUser
	fieldDevice
	fields
)

// names are what an error's "field" says: the path in the envelope.
var names = [fields]string{
	fieldV: "v", fieldType: "type", fieldID: "id", fieldTenant: "tenant_id", fieldTimestamp: "timestamp", fieldRoom: "room",
	fieldFrom: "from", fieldEpoch: "epoch", fieldOffset: "offset", fieldRef: "ref", fieldExpires: "expires_at",
	fieldPayload: "payload", fieldAction: "payload.action", fieldData: "payload.data", fieldUser: "from.user", fieldDevice: "from.device",
}

// of finds the field called name in the object that belongs to parent, unknown
// being the envelope itself.
func (parent field) of(name []byte) field {
	switch parent {
	case fieldPayload:
		switch string(name) {
		case "action":
			return fieldAction
		case "data":
			return fieldData
		}
	case fieldFrom:
		switch string(name) {
		case "user":
			return fieldUser
		case "device":
			return fieldDevice
		}
	default:
		return envelopeField(name)
	}
	return unknown
}

func envelopeField(name []byte) field {
	switch string(name) {
	case "v":
		return fieldV
	case "type":
		return fieldType
	case "id":
		return fieldID
	case "tenant_id":
		return fieldTenant
	case "timestamp":
		return fieldTimestamp
	case "room":
		return fieldRoom
	case "from":
		return fieldFrom
	case "epoch":
		return fieldEpoch
	case "offset":
		return fieldOffset
	case "ref":
		return fieldRef
	case "expires_at":
		return fieldExpires
	case "payload":
		return fieldPayload
	}
	return unknown
}

// serverOnly fields are ignored in what clients send.
func (f field) serverOnly() bool {
	return f == fieldTenant || f == fieldTimestamp || f == fieldFrom || f == fieldExpires
}

// number tells the integers from the strings among the simple fields.
func (f field) number() bool {
	return f == fieldV || f == fieldTimestamp || f == fieldOffset || f == fieldExpires
}
