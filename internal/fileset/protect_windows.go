package fileset

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// createFile makes a new file. A private one has its access list from the first
// instant, so that nobody can open it before and read on later. The list is
// protected: nothing is inherited from the folder.
func createFile(path string, private bool) (*os.File, error) {
	var attributes *windows.SecurityAttributes
	if private {
		sd, err := privateDescriptor()
		if err != nil {
			return nil, &os.PathError{Op: "protect", Path: path, Err: err}
		}
		attributes = &windows.SecurityAttributes{SecurityDescriptor: sd}
		attributes.Length = uint32(unsafe.Sizeof(*attributes))
	}
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	h, err := windows.CreateFile(p, windows.GENERIC_WRITE, windows.FILE_SHARE_READ, attributes,
		windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// privateDescriptor gives full control to the current user, Administrators and
// SYSTEM, and nothing to anybody else.
func privateDescriptor() (*windows.SECURITY_DESCRIPTOR, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + user.User.Sid.String() + ")")
}

// protect does nothing: createFile has done it.
func protect(*os.File, bool) error { return nil }
