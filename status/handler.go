package status

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"cpsca/ocsp"
)

// Media types (RFC 6960 appendix C, RFC 2585 §4).
const (
	typeRequest     = "application/ocsp-request"
	typeResponse    = "application/ocsp-response"
	typeList        = "application/pkix-crl"
	typeCertificate = "application/pkix-cert"
)

const (
	// maxAge bounds how long HTTP caches keep an answer or a list.
	maxAge = 5 * time.Minute
	// certificateAge is how long they keep an issuer's certificate, which
	// never changes under its name.
	certificateAge = 24 * time.Hour
)

// Handler serves, whatever the host name:
//
//	POST / and /ocsp, GET /<base64> and /ocsp/<base64>   OCSP
//	GET /crl/<name>.crl                                  revocation lists
//	GET /ca/<name>.cer                                   issuer certificates
//
// HEAD works like GET. Errors of OCSP are OCSP responses with HTTP status 200.
type Handler struct {
	cfg          Config
	certificates map[string]*x509.Certificate
	answers      *answers
	budgets      *budgets
	slots        chan struct{}
	flights      singleflight.Group // answers being made, by image and CertIDs
	failing      atomic.Bool
}

// NewHandler makes a handler. It may serve while the Responder has no
// certificates and the image no records: the answer then is tryLater.
func NewHandler(cfg Config) (*Handler, error) {
	err := cfg.Validate()
	if err != nil {
		return nil, err
	}
	cfg.setDefaults()
	h := &Handler{
		cfg: cfg, certificates: map[string]*x509.Certificate{}, answers: newAnswers(cfg.KeptOctets),
		budgets: newBudgets(cfg.ClientRate, cfg.ClientBurst), slots: make(chan struct{}, cfg.Concurrent),
	}
	for _, i := range cfg.Issuers {
		h.certificates[i.Name] = i.Certificate
	}
	return h, nil
}

// ServeHTTP finds its way by the escaped path: http.ServeMux would clean the
// slashes out of base64.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	list, isList := fileName(path, "/crl/", ".crl")
	certificate, isCertificate := fileName(path, "/ca/", ".cer")
	switch {
	case r.Method == http.MethodPost && (path == "/" || strings.Trim(path, "/") == ocspPrefix):
		h.post(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refuse(w, http.StatusMethodNotAllowed)
	case isList:
		h.serveList(w, r, list)
	case isCertificate:
		h.serveCertificate(w, r, certificate)
	default:
		h.get(w, r, path)
	}
}

// fileName returns what stands between a folder and an extension.
func fileName(path, folder, extension string) (string, bool) {
	name, in := strings.CutPrefix(path, folder)
	name, ends := strings.CutSuffix(name, extension)
	return name, in && ends
}

// refuse sends an HTTP error that no cache keeps.
func refuse(w http.ResponseWriter, code int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(code), code)
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request, path string) {
	der, ok := requestOfPath(path)
	if !ok {
		// What looks like a request but is none gets an answer of OCSP;
		// everything else is simply not here.
		if strings.HasPrefix(path, "/"+ocspPrefix+"/") {
			h.send(w, r, ocsp.Refusal(ocsp.MalformedRequest))
			return
		}
		refuse(w, http.StatusNotFound)
		return
	}
	h.send(w, r, h.answer(clientOf(r.RemoteAddr), der))
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != typeRequest || r.Header.Get("Content-Encoding") != "" {
		refuse(w, http.StatusUnsupportedMediaType)
		return
	}
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ocsp.MaxRequestSize))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuse(w, http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest)
		return
	}
	h.send(w, r, h.answer(clientOf(r.RemoteAddr), der))
}

// answer returns a kept answer or a new one, as far as the client's budget goes.
func (h *Handler) answer(client netip.Prefix, der []byte) ocsp.Response {
	request, err := ocsp.ParseRequest(der)
	if err != nil {
		return ocsp.Refusal(ocsp.MalformedRequest)
	}
	// The sequence is read before the answer is made: an answer from a newer
	// image is forgotten early, one from an older image never kept.
	sequence, now := h.cfg.Image.Sequence(), h.cfg.Now()
	kept, ok := h.answers.find(request, sequence, now)
	if ok && request.Nonce == nil {
		return kept
	}
	if !h.spends(request) {
		made, _ := h.makeOnce(request, sequence)
		return made
	}
	if !h.budgets.take(client, now) {
		return h.beyondBudget(request, kept, ok, sequence)
	}
	made, ours := h.makeOnce(request, sequence)
	if !ours || made.Status != ocsp.Successful {
		h.budgets.giveBack(client)
	}
	return made
}

// spends says whether an answer draws on its client's budget: those that can be
// asked for without end, with a nonce, about several certificates, about serials
// that were never issued. The state of one certificate is told to everybody.
func (h *Handler) spends(request *ocsp.Request) bool {
	return request.Nonce != nil || len(request.CertIDs) > 1 || h.cfg.Responder.Unissued(request)
}

// beyondBudget answers a client that has spent its budget: the nonce is passed
// over (RFC 5019 §4 lets clients go by the times), serials that were never issued
// and combinations that are not kept get no signature.
func (h *Handler) beyondBudget(request *ocsp.Request, kept ocsp.Response, ok bool, sequence uint64) ocsp.Response {
	if ok {
		return kept
	}
	plain := *request
	plain.Nonce = nil
	if h.spends(&plain) {
		return ocsp.Refusal(ocsp.Unauthorized)
	}
	made, _ := h.makeOnce(&plain, sequence)
	return made
}

// makeOnce makes an answer. Those who miss the same one at the same time share
// a signature, unless it is over their nonce; ours is true for the one who
// caused it.
func (h *Handler) makeOnce(request *ocsp.Request, sequence uint64) (response ocsp.Response, ours bool) {
	if request.Nonce != nil {
		return h.make(request, sequence), true
	}
	made, _, _ := h.flights.Do(fmt.Sprint(sequence, " ", keyOf(request)), func() (any, error) {
		ours = true
		return h.make(request, sequence), nil
	})
	return made.(ocsp.Response), ours
}

// make lets the responder answer, if it is not too busy, and keeps what others
// may be given too.
func (h *Handler) make(request *ocsp.Request, sequence uint64) ocsp.Response {
	select {
	case h.slots <- struct{}{}:
	default:
		return ocsp.Refusal(ocsp.TryLater)
	}
	response, err := h.cfg.Responder.Respond(request)
	<-h.slots
	h.note(err)
	if cacheable(response) {
		h.answers.keep(request, sequence, response)
	}
	return response
}

// note logs when answering begins to fail and when it works again, not each
// failure: a lost key fails thousands of times.
func (h *Handler) note(err error) {
	if h.failing.Swap(err != nil) == (err != nil) {
		return
	}
	if err != nil {
		h.cfg.Log.Error("OCSP answers cannot be signed", "error", err)
		return
	}
	h.cfg.Log.Info("OCSP answers are signed again")
}

// cacheable tells whether others may be given the answer too: errors, answers
// to a nonce and what is said of unknown serials are for this client and now.
func cacheable(r ocsp.Response) bool {
	return r.Status == ocsp.Successful && !r.Nonce && !r.Unknown
}

// send writes an answer with the headers of RFC 5019 §6.2 and RFC 9919. Expires
// follows max-age, not nextUpdate, so that old caches too keep an answer for
// five minutes at most.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, response ocsp.Response) {
	header := w.Header()
	header.Set("Content-Type", typeResponse)
	header.Set("Content-Length", strconv.Itoa(len(response.DER)))
	if !cacheable(response) {
		header.Set("Cache-Control", "no-store")
		_, _ = w.Write(response.DER) // the client went away: its affair
		return
	}
	tag := entityTag(response.DER)
	header.Set("ETag", tag)
	header.Set("Last-Modified", response.ThisUpdate.Format(http.TimeFormat))
	setExpiry(header, h.cfg.Now(), response.NextUpdate)
	// By ETag alone: two answers may differ within one second of
	// Last-Modified.
	if r.Method != http.MethodPost && matches(r.Header.Get("If-None-Match"), tag) {
		header.Del("Content-Length")
		header.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(response.DER)
}

// setExpiry lets caches keep something for maxAge, but not past its end.
func setExpiry(header http.Header, now, end time.Time) {
	age := max(0, min(maxAge, end.Sub(now))).Truncate(time.Second)
	header.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate", int(age.Seconds())))
	header.Set("Expires", now.Add(age).UTC().Format(http.TimeFormat))
}

// matches compares an If-None-Match header with an entity tag (RFC 9110
// §13.1.2).
func matches(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}

// entityTag names bytes by their hash.
func entityTag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

func (h *Handler) serveList(w http.ResponseWriter, r *http.Request, name string) {
	list, ok := h.cfg.Lists.list(name)
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	header := w.Header()
	header.Set("Content-Type", typeList)
	header.Set("ETag", list.tag)
	setExpiry(header, h.cfg.Now(), list.NextUpdate)
	http.ServeContent(w, r, "", list.ThisUpdate, bytes.NewReader(list.DER))
}

func (h *Handler) serveCertificate(w http.ResponseWriter, r *http.Request, name string) {
	certificate := h.certificates[name]
	if certificate == nil {
		refuse(w, http.StatusNotFound)
		return
	}
	header := w.Header()
	header.Set("Content-Type", typeCertificate)
	header.Set("ETag", entityTag(certificate.Raw))
	header.Set("Cache-Control", fmt.Sprintf("max-age=%d, public", int(certificateAge.Seconds())))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(certificate.Raw))
}
