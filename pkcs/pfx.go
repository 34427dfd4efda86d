package pkcs

// What can be wrong with a PFX file. Each comes as a *report.Error of KindInput.
const (
	CodePFXPassword    = "pfx.password.wrong"
	CodePFXDamaged     = "pfx.damaged"
	CodePFXUnsupported = "pfx.unsupported"
)

// IsPFX reports whether data begins as a PFX file does: SEQUENCE, INTEGER 3,
// SEQUENCE, contentType data or signedData (RFC 7292, section 4). It says
// nothing of the rest.
func IsPFX(data []byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	content := data[2:]
	if n := data[1]; n > 0x80 {
		if len(content) < int(n&0x7f) {
			return false
		}
		content = content[n&0x7f:]
	}
	return len(content) > 4 && content[0] == 0x02 && content[1] == 1 && content[2] == 3 && content[3] == 0x30
}
