package fileset_test

import (
	"fmt"
	"os"
	"path/filepath"

	"onsite/internal/fileset"
)

func ExampleReplace() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for _, word := range []string{"first", "second"} {
		kept, err := fileset.Replace(dir, []fileset.File{
			{Name: "cert.pem", Data: []byte(word + " certificate")},
			{Name: "key.pem", Data: []byte(word + " key"), Private: true},
		}, fileset.Options{Overwrite: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		if kept != "" {
			raw, err := os.ReadFile(filepath.Join(kept, "key.pem"))
			fmt.Printf("kept: %s, %v\n", raw, err)
		}
	}
	// Whoever reads a set makes sure first that no change was cut short.
	if err := fileset.Recover(dir); err != nil {
		fmt.Println(err)
		return
	}
	raw, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	fmt.Printf("now: %s, %v\n", raw, err)
	// Output:
	// kept: first key, <nil>
	// now: second key, <nil>
}
