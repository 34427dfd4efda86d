package reflector

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"onsite/internal/lazyre"
	"onsite/report"
)

// operator is somebody who may use the reflector.
type operator struct {
	name string
	hash [sha256.Size]byte // of the token
}

type operators []operator

const (
	maxTokenFile = 64 << 10
	maxOperators = 1000
	// minToken is the length below which a token is a password, which can be
	// guessed: 20 letters and digits are more than 100 bits.
	minToken = 20
	maxToken = 256
)

const howToMake = "openssl rand -hex 32 makes a good one"

// readOperators reads the file of tokens: name and token on each line, or name
// and sha256:HASH of the token. A line that begins with # is none. No error shows
// what stands in the file.
func readOperators(path string) (operators, error) {
	if path == "" {
		return nil, report.Errorf(report.KindMissing, "reflector.tokens.missing",
			"write a file with a line of name and token for each technician ("+howToMake+"), and give it with --token-file",
			"a reflector without tokens would serve strangers: there is no token file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, report.Unreadable(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return nil, report.Unreadable(path, err)
	}
	list, err := parseOperators(string(data))
	if err != nil {
		return nil, report.Errorf(report.KindInput, "reflector.tokens.wrong", "each line is a name, a space and a token; "+howToMake, "%s: %w", path, err)
	}
	return list, nil
}

var operatorName = lazyre.New(`^[A-Za-z0-9._-]{1,32}$`)

func parseOperators(text string) (operators, error) {
	if len(text) > maxTokenFile {
		return nil, fmt.Errorf("more than %d KiB is no file of tokens", maxTokenFile>>10)
	}
	var list operators
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		o, err := parseOperator(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		for _, other := range list {
			if other.hash == o.hash {
				return nil, fmt.Errorf("line %d: the token of %s is another one's too", n, o.name)
			}
		}
		if list = append(list, o); len(list) > maxOperators {
			return nil, fmt.Errorf("there are more than %d tokens", maxOperators)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("there is no token in it")
	}
	return list, nil
}

func parseOperator(fields []string) (operator, error) {
	if len(fields) != 2 {
		return operator{}, fmt.Errorf("%d words instead of a name and a token", len(fields))
	}
	o := operator{name: fields[0]}
	if !operatorName().MatchString(o.name) {
		return operator{}, errors.New("the first word is no name: up to 32 letters, digits, dots, hyphens and underscores")
	}
	token := fields[1]
	if text, ok := strings.CutPrefix(token, "sha256:"); ok {
		hash, err := hex.DecodeString(text)
		if err != nil || len(hash) != sha256.Size {
			return operator{}, fmt.Errorf("what follows sha256: at %s is not 64 hexadecimal digits", o.name)
		}
		o.hash = [sha256.Size]byte(hash)
		return o, nil
	}
	if len(token) < minToken || len(token) > maxToken {
		return operator{}, fmt.Errorf("the token of %s has %d characters, which is not from %d to %d", o.name, len(token), minToken, maxToken)
	}
	o.hash = sha256.Sum256([]byte(token))
	return o, nil
}

// find returns whose token it is. It takes the same time for every wrong one.
func (list operators) find(token string) (name string, ok bool) {
	hash := sha256.Sum256([]byte(token))
	for _, o := range list {
		if subtle.ConstantTimeCompare(o.hash[:], hash[:]) == 1 {
			name, ok = o.name, true
		}
	}
	return name, ok
}

// judgeMode warns of a file of tokens that everybody on this computer may read.
func judgeMode(path string) (report.Finding, bool) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o007 == 0 {
		return report.Finding{}, false
	}
	return report.Warn("reflector.tokens.readable", path, fmt.Sprintf("every user of this computer can open it (mode %04o)", info.Mode().Perm()),
		"take the rights of others away: chmod 600 "+path), true
}
