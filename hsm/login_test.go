package hsm_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/pkcs11"

	"cpsca/hsm"
	"cpsca/testpki"
)

// canary is a wrong PIN that must not turn up anywhere.
const canary = "canary-4711"

func TestAWrongPINIsTriedOnce(t *testing.T) {
	cfg := freshConfig(t)
	bystander := open(t, freshConfig(t)) // keeps the module initialised, and is how the token's flags are read
	pinCountLow := func() bool {
		low := false
		bystander.Raw(func(binding *pkcs11.Ctx, _ uint) {
			low = rawToken(t, binding, cfg.Token).Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0
		})
		return low
	}
	rightPIN, err := os.ReadFile(strings.TrimPrefix(cfg.PIN.String(), "file "))
	if err != nil {
		t.Fatal(err)
	}
	if pinCountLow() {
		t.Fatal("the token says a PIN was wrong before any was tried")
	}
	asked := 0
	wrong := cfg
	typed := []byte(canary)
	wrong.PIN = hsm.PINPrompt(func() ([]byte, error) { asked++; return typed, nil })
	_, err = hsm.Open(t.Context(), wrong)
	var returned *hsm.Error
	if !errors.Is(err, hsm.ErrPIN) || !errors.As(err, &returned) || returned.Code != pkcs11.CKR_PIN_INCORRECT || returned.Entered {
		t.Fatalf("got %v, want ErrPIN with CKR_PIN_INCORRECT", err)
	}
	if !pinCountLow() {
		t.Fatal("the token saw no wrong PIN")
	}
	if strings.Contains(err.Error(), canary) || !bytes.Equal(typed, make([]byte, len(typed))) {
		t.Errorf("the PIN is left behind: %v", err)
	}
	// A right login elsewhere clears the flag; it stays clear if nothing tries again.
	bystander.Raw(func(binding *pkcs11.Ctx, _ uint) { rawLogin(t, binding, cfg.Token, string(bytes.TrimSpace(rightPIN))) })
	for _, again := range []hsm.Config{wrong, cfg} {
		_, err = hsm.Open(t.Context(), again)
		if !errors.Is(err, hsm.ErrPIN) {
			t.Errorf("opening again: got %v, want ErrPIN", err)
		}
	}
	if pinCountLow() || asked != 1 {
		t.Errorf("the PIN was tried again: the flag is %t, the prompt was asked %d times", pinCountLow(), asked)
	}
}

func TestAPINThatTurnsWrongIsTriedOnceAndStopsTheToken(t *testing.T) {
	cfg := freshConfig(t)
	token := open(t, cfg)
	key := generate(t, token, "key", hsm.P256)
	writeFile(t, strings.TrimPrefix(cfg.PIN.String(), "file "), canary, 0o600)
	token.Raw(func(binding *pkcs11.Ctx, slot uint) { rawLoseSessions(t, binding, slot) })
	for range 5 {
		_, err := key.Sign(nil, digestOf(crypto.SHA256, "x"), crypto.SHA256)
		if !errors.Is(err, hsm.ErrPIN) {
			t.Fatalf("got %v, want ErrPIN", err)
		}
		if strings.Contains(err.Error(), canary) {
			t.Fatalf("the error shows the PIN: %v", err)
		}
	}
}

func TestPINSources(t *testing.T) {
	cfg := freshConfig(t)
	path := strings.TrimPrefix(cfg.PIN.String(), "file ")
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	right = bytes.TrimSpace(right)
	pipe := func(text string) hsm.PIN {
		var ends [2]int
		err := syscall.Pipe(ends[:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = syscall.Write(ends[1], []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Close(ends[1])
		return hsm.PINDescriptor(ends[0])
	}
	prompted := bytes.Clone(right)
	for name, pin := range map[string]hsm.PIN{
		"a file":                           cfg.PIN,
		"a descriptor":                     pipe(string(right)),
		"a descriptor with a newline":      pipe(string(right) + "\n"),
		"a descriptor with CR and newline": pipe(string(right) + "\r\n"),
		"a prompt":                         hsm.PINPrompt(func() ([]byte, error) { return prompted, nil }),
	} {
		t.Run(name+" opens the token, after a loss too", func(t *testing.T) {
			cfg := cfg
			cfg.PIN = pin
			token := open(t, cfg)
			token.Raw(func(binding *pkcs11.Ctx, slot uint) { rawLoseSessions(t, binding, slot) })
			_, err := token.Keys(t.Context())
			if err != nil {
				t.Errorf("after a loss: %v", err)
			}
		})
	}
	if !bytes.Equal(prompted, make([]byte, len(prompted))) {
		t.Error("the PIN from the prompt was not wiped")
	}
}

func TestPINSourcesThatAreRefusedBeforeAnyLogin(t *testing.T) {
	cfg := freshConfig(t)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) hsm.PIN {
		writeFile(t, filepath.Join(dir, name), text, mode)
		return hsm.PINFile(filepath.Join(dir, name))
	}
	file("target", canary, 0o600)
	err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	err = syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for name, pin := range map[string]hsm.PIN{
		"a file that others may read":      file("0644", canary, 0o644),
		"a file that the group may read":   file("0640", canary, 0o640),
		"a file that is not there":         hsm.PINFile(filepath.Join(dir, "none")),
		"a folder":                         hsm.PINFile(dir),
		"a symbolic link":                  hsm.PINFile(filepath.Join(dir, "link")),
		"a named pipe":                     hsm.PINFile(filepath.Join(dir, "fifo")),
		"an empty file":                    file("empty", "", 0o600),
		"a file of one newline":            file("newline", "\n", 0o600),
		"a file of two lines":              file("lines", canary+"\n"+canary+"\n", 0o600),
		"a file of 256 bytes":              file("long", strings.Repeat("c", 256), 0o600),
		"a file of a megabyte":             file("huge", strings.Repeat(canary, 100000), 0o600),
		"a descriptor that is not open":    hsm.PINDescriptor(987),
		"a prompt that answers nothing":    hsm.PINPrompt(func() ([]byte, error) { return nil, nil }),
		"a prompt that fails":              hsm.PINPrompt(func() ([]byte, error) { return []byte(canary), errors.New("no terminal") }),
		"a prompt with a zero byte inside": hsm.PINPrompt(func() ([]byte, error) { return []byte(canary + "\x00"), nil }),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.PIN = pin
			_, err := hsm.Open(t.Context(), cfg)
			if !errors.Is(err, hsm.ErrPINSource) || errors.Is(err, hsm.ErrPIN) {
				t.Errorf("got %v, want ErrPINSource", err)
			}
			if err != nil && strings.Contains(err.Error(), canary) || strings.Contains(fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg), canary) {
				t.Errorf("the PIN is shown: %v", err)
			}
		})
	}
	open(t, cfg) // no login was tried, so the right one still works
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	right := hsm.Config{Module: "/m.so", Token: "t", PIN: hsm.PINFile("/pin")}
	err := right.Validate()
	if err != nil {
		t.Fatalf("a right configuration: %v", err)
	}
	for name, change := range map[string]func(*hsm.Config){
		"no module":                    func(c *hsm.Config) { c.Module = "" },
		"a relative module":            func(c *hsm.Config) { c.Module = "m.so" },
		"neither label nor serial":     func(c *hsm.Config) { c.Token = "" },
		"a label that is too long":     func(c *hsm.Config) { c.Token = strings.Repeat("t", 33) },
		"a serial that is too long":    func(c *hsm.Config) { c.Serial = strings.Repeat("1", 17) },
		"no PIN":                       func(c *hsm.Config) { c.PIN = hsm.PIN{} },
		"a prompt that is no function": func(c *hsm.Config) { c.PIN = hsm.PINPrompt(nil) },
		"less than no sessions":        func(c *hsm.Config) { c.Sessions = -1 },
		"too many sessions":            func(c *hsm.Config) { c.Sessions = 65 },
		"a queue that is too long":     func(c *hsm.Config) { c.Queue = 1 << 17 },
	} {
		c := right
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s was accepted", name)
		}
		_, err := hsm.Open(t.Context(), c)
		if err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

func TestTokensAreFoundByLabelAndSerial(t *testing.T) {
	cfg := freshConfig(t)
	info := open(t, cfg).Info()
	if info.Label != cfg.Token || len(info.Serial) != 16 || !info.Software() {
		t.Errorf("got %+v, want a software token labelled %q", info, cfg.Token)
	}
	if (hsm.Info{Manufacturer: "Thales", Model: "Luna K7"}).Software() {
		t.Error("a Luna was taken for software")
	}
	bySerial := cfg
	bySerial.Token, bySerial.Serial = "", info.Serial
	if open(t, bySerial).Info() != info {
		t.Error("found another token by serial number")
	}
	for _, other := range []hsm.Config{{Token: "none"}, {Serial: "none"}, {Token: cfg.Token, Serial: "none"}} {
		other.Module, other.PIN = cfg.Module, cfg.PIN
		_, err := hsm.Open(t.Context(), other)
		if !errors.Is(err, hsm.ErrTokenNotFound) {
			t.Errorf("%+v: got %v, want ErrTokenNotFound", other, err)
		}
	}
	for _, path := range []string{"/nonexistent.so", "/etc/passwd"} {
		other := cfg
		other.Module = path
		_, err := hsm.Open(t.Context(), other)
		if err == nil {
			t.Errorf("the module %s was loaded", path)
		}
	}
}

func TestATokenIsInitialisedOnce(t *testing.T) {
	softHSM := testpki.SoftHSMForTest(t)
	cfg := freshConfig(t)
	token := open(t, cfg)
	generate(t, token, "key", hsm.P256)
	_, err := softHSM.Token(cfg.Token)
	if !errors.Is(err, hsm.ErrTokenExists) {
		t.Errorf("initialising it again: got %v, want ErrTokenExists", err)
	}
	_, err = token.Key(t.Context(), "key")
	if err != nil {
		t.Errorf("the key afterwards: %v", err)
	}
	for name, pins := range map[string][2]string{"no PIN": {canary, ""}, "no PIN of the officer": {"", canary}} {
		err := hsm.InitToken(softHSM.Module, "other", []byte(pins[0]), []byte(pins[1]))
		if !errors.Is(err, hsm.ErrPINSource) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v, want ErrPINSource", name, err)
		}
	}
	for _, label := range []string{"", strings.Repeat("x", 33)} {
		err := hsm.InitToken(softHSM.Module, label, []byte(canary), []byte(canary))
		if err == nil {
			t.Errorf("the label %q was accepted", label)
		}
	}
}

func writeFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	err := os.WriteFile(path, []byte(text), mode)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rawSlot(t testing.TB, binding *pkcs11.Ctx, label string) uint {
	t.Helper()
	slots, err := binding.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range slots {
		info, err := binding.GetTokenInfo(slot)
		if err == nil && info.Label == label {
			return slot
		}
	}
	t.Fatalf("no token %q", label)
	return 0
}

func rawToken(t testing.TB, binding *pkcs11.Ctx, label string) pkcs11.TokenInfo {
	t.Helper()
	info, err := binding.GetTokenInfo(rawSlot(t, binding, label))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func rawLogin(t testing.TB, binding *pkcs11.Ctx, label, pin string) {
	t.Helper()
	s := rawSession(t, binding, rawSlot(t, binding, label), 0)
	err := binding.Login(s, pkcs11.CKU_USER, pin)
	if err != nil {
		t.Fatal(err)
	}
	err = binding.CloseSession(s)
	if err != nil {
		t.Fatal(err)
	}
}

func rawLoseSessions(t testing.TB, binding *pkcs11.Ctx, slot uint) {
	t.Helper()
	err := binding.CloseAllSessions(slot)
	if err != nil {
		t.Fatal(err)
	}
}
