package reflector

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds the head of an answer, and its body.
const maxAnswer = 16 << 10

// answer is an HTTP answer of a reflector, or of whatever is there instead.
type answer struct {
	status int
	header http.Header
	body   []byte // of anything but 101

	conn   net.Conn
	reader *bufio.Reader
	bound  *io.LimitedReader
}

func (a *answer) close() { a.conn.Close() }

// refusal is why the reflector refused; empty when it was not a reflector that
// answered.
func (a *answer) refusal() (why refusalJSON) {
	if json.Unmarshal(a.body, &why) != nil || len(why.Error) > 64 || len(why.Ports) > 1024 {
		return refusalJSON{}
	}
	return why
}

// retryAfter is when it may be tried again; 0 when the answer does not say.
func (a *answer) retryAfter() time.Duration {
	n, err := strconv.ParseUint(a.header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// exchange writes a request and reads the answer to it.
func exchange(conn net.Conn, u *url.URL, method, path string, header http.Header) (*answer, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: onsite\r\nAccept: application/json\r\n", method, u.EscapedPath(), path, u.Host)
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Connection") == "" {
		b.WriteString("Connection: close\r\n")
	}
	if method == http.MethodPost {
		b.WriteString("Content-Length: 0\r\n")
	}
	header.Write(&b) //nolint:errcheck // into memory
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	a, err := readAnswer(conn, method)
	if err != nil {
		return nil, err
	}
	a.conn = conn
	return a, nil
}

// errTooLong is an answer that no reflector gives.
var errTooLong = errors.New("the answer is too long")

// maxInterim is how many interim answers (RFC 9110, section 15.2) are read over.
const maxInterim = 4

// readAnswer reads an answer, no more than maxAnswer of its head and its body
// together. What comes after a 101 stays in the reader.
func readAnswer(r io.Reader, method string) (*answer, error) {
	a := &answer{bound: &io.LimitedReader{R: r, N: 2 * maxAnswer}}
	a.reader = bufio.NewReader(a.bound)
	for range maxInterim {
		response, err := http.ReadResponse(a.reader, &http.Request{Method: method})
		if err != nil {
			if a.bound.N <= 0 {
				return nil, errTooLong
			}
			return nil, err
		}
		a.status, a.header = response.StatusCode, response.Header
		if a.status == http.StatusSwitchingProtocols {
			return a, nil
		}
		if a.status >= 100 && a.status < 200 {
			continue
		}
		a.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
		response.Body.Close() //nolint:errcheck // it was read as far as it matters
		if len(a.body) > maxAnswer {
			a.body = nil // a page: no answer of a reflector is so long
			return a, nil
		}
		if a.bound.N <= 0 && err != nil {
			return nil, errTooLong
		}
		return a, err
	}
	return nil, errTooLong
}
