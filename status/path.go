package status

import (
	"encoding/base64"
	"net/url"
	"strings"

	"cpsca/ocsp"
)

// ocspPrefix is the folder in which OCSP is answered besides the root.
const ocspPrefix = "ocsp"

// unescapings bounds how often a path is unescaped: some clients and proxies
// escape what was escaped already.
const unescapings = 2

// requestOfPath returns the OCSP request that the escaped path of a GET
// carries (RFC 6960 appendix A.1): base64, with whatever clients and proxies
// do to its plus signs and slashes. ok is false if it carries none. Every DER
// request begins with a SEQUENCE, hence base64 of it with M: slashes before
// that are the client's.
func requestOfPath(escaped string) (der []byte, ok bool) {
	// Three times the size covers base64 with every octet escaped.
	if len(escaped) > 4*ocsp.MaxRequestSize {
		return nil, false
	}
	text := escaped
	for range unescapings {
		if !strings.Contains(text, "%") {
			break
		}
		unescaped, err := url.PathUnescape(text)
		if err != nil {
			return nil, false
		}
		text = unescaped
	}
	text = strings.TrimLeft(text, "/")
	if rest, found := strings.CutPrefix(text, ocspPrefix+"/"); found {
		text = strings.TrimLeft(rest, "/")
	}
	text = base64Repair.Replace(strings.TrimRight(text, "=\r\n "))
	if text == "" || text[0] != 'M' {
		return nil, false
	}
	der, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false
	}
	return der, true
}

// base64Repair undoes a plus sign read as a space, and the alphabet for URLs,
// which some clients use though RFC 6960 asks for the other.
var base64Repair = strings.NewReplacer(" ", "+", "-", "+", "_", "/")
