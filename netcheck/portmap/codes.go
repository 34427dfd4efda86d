package portmap

// natpmpCodes are the result codes of RFC 6886, section 3.5.
var natpmpCodes = map[int]string{
	1: "unsupported version",
	2: "not authorised or refused",
	3: "network failure",
	4: "out of resources",
	5: "unsupported opcode",
}

// pcpCodes are the result codes of RFC 6887, section 7.4.
var pcpCodes = map[int]string{
	1:  "UNSUPP_VERSION",
	2:  "NOT_AUTHORIZED",
	3:  "MALFORMED_REQUEST",
	4:  "UNSUPP_OPCODE",
	5:  "UNSUPP_OPTION",
	6:  "MALFORMED_OPTION",
	7:  "NETWORK_FAILURE",
	8:  "NO_RESOURCES",
	9:  "UNSUPP_PROTOCOL",
	10: "USER_EX_QUOTA",
	11: "CANNOT_PROVIDE_EXTERNAL",
	12: "ADDRESS_MISMATCH",
	13: "EXCESSIVE_REMOTE_PEERS",
}

// upnpCodes are the errors of UPnP Device Architecture 1.1, section 3.2.5, and
// of WANIPConnection:1 and :2, section 2.5.
var upnpCodes = map[int]string{
	401: "Invalid Action",
	402: "Invalid Args",
	501: "Action Failed",
	600: "Argument Value Invalid",
	601: "Argument Value Out of Range",
	602: "Optional Action Not Implemented",
	603: "Out Of Memory",
	604: "Human Intervention Required",
	605: "String Argument Too Long",
	606: "Action not authorized",
	703: "Inactive Connection State Required",
	704: "Connection Setup Failed",
	705: "Connection Setup In Progress",
	706: "Connection Not Configured",
	713: "Specified Array Index Invalid",
	714: "No Such Entry In Array",
	715: "Wild Card Not Permitted In Source IP",
	716: "Wild Card Not Permitted In External Port",
	718: "Conflict In Mapping Entry",
	724: "Same Port Values Required",
	725: "Only Permanent Leases Supported",
	726: "Remote Host Only Supports Wildcard",
	727: "External Port Only Supports Wildcard",
	728: "No Port Maps Available",
	729: "Conflict With Other Mechanisms",
	730: "Port Mapping Not Found",
	732: "Wild Card Not Permitted In Internal Port",
	733: "Inconsistent Parameters",
}
