package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"cpsca/ca"
	"cpsca/card"
)

// maxBody is the size of the largest JSON body, in octets.
const maxBody = 64 << 10

// decode reads a JSON body into v: one object, no unknown field, nothing
// behind it.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return errMedia
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &size):
		return errBodySize
	case err != nil:
		return &bodyEnd{cause: err}
	}
	err = strict(body, v)
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

// strict decodes one JSON object and nothing else. Every member has exactly a
// documented name, and no name comes twice in an object.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err != nil {
		return err
	}
	_, err = d.Token()
	if !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return names(text)
}

// reply answers with a JSON object.
func reply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a caller who left hears nothing
	return nil
}

// ndjson is the media type of streams: one JSON object a line.
const ndjson = "application/x-ndjson"

// count reads a number of the query, between low and high; absent is zero.
func count(r *http.Request, name string, low, high int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%w: %s is %d to %d", errParameter, name, low, high)
	}
	return n, nil
}

// numberOf reads the card number of the path.
func numberOf(r *http.Request) (card.Number, error) { return card.ParseNumber(r.PathValue("number")) }

// issuerOf reads the issuer's key id of the path.
func issuerOf(r *http.Request) (card.KeyID, error) {
	id, err := card.ParseKeyID(r.PathValue("issuer"))
	if err != nil {
		return id, fmt.Errorf("%w: issuer is a key id of 40 hexadecimal digits", errParameter)
	}
	return id, nil
}

// maxRequest is the size of the largest certification request that is passed
// on, in octets.
const maxRequest = 4096

// requestDER reads a PKCS#10 request in PEM (RFC 7468 §7) or in base64 of its
// DER. ca.ErrRequest if it is neither, or too large.
func requestDER(text string) ([]byte, error) {
	var der []byte
	if strings.HasPrefix(text, "-----BEGIN ") {
		block, rest := pem.Decode([]byte(text))
		if block == nil || (block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST") || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("%w: want one CERTIFICATE REQUEST in PEM", ca.ErrRequest)
		}
		der = block.Bytes
	} else {
		var err error
		der, err = base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: want PEM or base64", ca.ErrRequest)
		}
	}
	if len(der) > maxRequest {
		return nil, fmt.Errorf("%w: %d octets are more than %d", ca.ErrRequest, len(der), maxRequest)
	}
	return der, nil
}
