// Package config reads the YAML file of a command: one file for each, unknown
// keys refused, bounds checked, secrets by location only.
//
// The structs hold plain values; the commands turn them into the Configs of the
// rooms. Nothing of ours is imported here, and viper is used nowhere else: map
// keys lose their case in it, so no key here carries meaning in its case.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// ErrInvalid is returned, wrapped with the key at fault, for a file that a
// command cannot run with.
var ErrInvalid = errors.New("invalid configuration")

// HSM says how to reach a PKCS#11 token, or several with the same keys. The PIN
// itself is never in a configuration.
type HSM struct {
	// Module is the path of the PKCS#11 library.
	Module string `mapstructure:"module"`
	// Token is the label of the token.
	Token string `mapstructure:"token"`
	// Serial is the serial number of the token, as well or instead.
	Serial string `mapstructure:"serial"`
	// PINFile holds the PIN, mode 0600.
	PINFile string `mapstructure:"pin_file"`
	// PINDescriptor is an open file descriptor, 3 or above, that the PIN is
	// read from once. One of the two; neither: it is asked for on the
	// terminal.
	PINDescriptor int `mapstructure:"pin_descriptor"`
	// Places lists 1 to 8 tokens with the same keys, in the stead of the five
	// settings above: signatures are shared among them, and one is enough. A
	// token that shall recover while another signs is reached through a library
	// of its own (a copy of the file does).
	Places []Place `mapstructure:"places"`
	// Sessions is the size of the pool of each place, 1 to 64; 0 means one for
	// each CPU.
	Sessions int `mapstructure:"sessions"`
	// Deadline is how long one signature may take, 10ms to 5m; 0 means 10s.
	Deadline time.Duration `mapstructure:"deadline"`
	// TokenObjects forbids to sign with copies of the keys in the sessions.
	TokenObjects bool `mapstructure:"token_objects"`
	// SoftHSM is the path of softhsm2.conf, where the module is SoftHSM.
	SoftHSM string `mapstructure:"softhsm_config"`
}

// Place is one of several tokens with the same keys; its settings mean what
// those of HSM mean.
type Place struct {
	Module        string `mapstructure:"module"`
	Token         string `mapstructure:"token"`
	Serial        string `mapstructure:"serial"`
	PINFile       string `mapstructure:"pin_file"`
	PINDescriptor int    `mapstructure:"pin_descriptor"`
}

// maxPlaces bounds HSM.Places.
const maxPlaces = 8

// All lists the places: those of Places, or the one that HSM itself describes.
func (h *HSM) All() []Place {
	if len(h.Places) > 0 {
		return h.Places
	}
	return []Place{{Module: h.Module, Token: h.Token, Serial: h.Serial, PINFile: h.PINFile, PINDescriptor: h.PINDescriptor}}
}

func (h *HSM) validate(key, base string) error {
	if len(h.Places) > 0 && h.Module+h.Token+h.Serial+h.PINFile != "" || len(h.Places) > 0 && h.PINDescriptor != 0 {
		return invalid(key+".places", "want either places, or one token beside it")
	}
	if len(h.Places) > maxPlaces {
		return invalid(key+".places", "want at most %d, got %d", maxPlaces, len(h.Places))
	}
	if h.Sessions < 0 || h.Sessions > 64 {
		return invalid(key+".sessions", "want 0 to 64, got %d", h.Sessions)
	}
	if h.Deadline != 0 {
		err := between(key+".deadline", h.Deadline, 10*time.Millisecond, 5*time.Minute)
		if err != nil {
			return err
		}
	}
	descriptors := make(map[int]bool)
	for i, p := range h.All() {
		name := key
		if len(h.Places) > 0 {
			name = fmt.Sprintf("%s.places[%d]", key, i)
		}
		err := p.validate(name)
		if err != nil {
			return err
		}
		if p.PINDescriptor != 0 && descriptors[p.PINDescriptor] {
			return invalid(name+".pin_descriptor", "is read once, but is that of another place")
		}
		descriptors[p.PINDescriptor] = true
	}
	for i := range h.Places {
		h.Places[i].PINFile = under(base, h.Places[i].PINFile)
	}
	h.PINFile, h.SoftHSM = under(base, h.PINFile), under(base, h.SoftHSM)
	return nil
}

func (p *Place) validate(key string) error {
	if p.Module == "" || p.Token == "" && p.Serial == "" {
		return invalid(key, "module and token (or serial) are required")
	}
	if p.PINDescriptor != 0 && (p.PINDescriptor < 3 || p.PINFile != "") {
		return invalid(key+".pin_descriptor", "want 3 or above, and no pin_file beside it")
	}
	return nil
}

// TLS is a certificate with its key and the roots that the other side is
// checked against; all PEM files.
type TLS struct {
	Certificate string `mapstructure:"certificate"`
	Key         string `mapstructure:"key"` // mode 0600
	Trust       string `mapstructure:"trust"`
}

func (t *TLS) validate(key, base string) error {
	if t.Certificate == "" || t.Key == "" || t.Trust == "" {
		return invalid(key, "certificate, key and trust are required")
	}
	t.Certificate, t.Key, t.Trust = under(base, t.Certificate), under(base, t.Key), under(base, t.Trust)
	return nil
}

func invalid(key, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalid, key, fmt.Sprintf(format, args...))
}

// under makes a path that is not absolute relative to the configuration file's
// folder, so that a folder can be moved as a whole.
func under(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// place is a path, or a URL, which is left as it is.
func place(base, text string) string {
	if strings.Contains(text, "://") {
		return text
	}
	return under(base, text)
}

func address(key, text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil || port == "" {
		return invalid(key, "want host:port, got %q", text)
	}
	return nil
}

func webURL(key, text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return invalid(key, "want an absolute URL, got %q", text)
	}
	for _, s := range schemes {
		if u.Scheme == s {
			return nil
		}
	}
	return invalid(key, "want a URL under %s, got %q", strings.Join(schemes, " or "), text)
}

func between(key string, d, least, most time.Duration) error {
	if d < least || d > most {
		return invalid(key, "want %s to %s, got %s", least, most, d)
	}
	return nil
}

// read fills into from one YAML file. Keys that it does not know are an error,
// and so are durations without a unit and numbers with a fraction where a
// whole number belongs.
func read(path string, into any) error {
	v := viper.NewWithOptions(viper.WithDecodeHook(mapstructure.DecodeHookFuncType(strict)))
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	err := v.ReadInConfig()
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	err = v.UnmarshalExact(into, func(c *mapstructure.DecoderConfig) { c.WeaklyTypedInput = false })
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, path, err)
	}
	return nil
}

// folder is where relative paths of a configuration file start.
func folder(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding the configuration's folder: %w", err)
	}
	_, err = os.Stat(absolute)
	if err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	return filepath.Dir(absolute), nil
}
