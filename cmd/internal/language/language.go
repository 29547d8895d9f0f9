// Package language chooses the language in which commands speak to people:
// that of the locale, English unless it is French. Both texts of a message stand
// side by side where it is said.
package language

import (
	"os"
	"strings"
)

var french = speaksFrench(os.Getenv)

// speaksFrench reads the locale (LC_ALL, LC_MESSAGES, LANG, in the order of
// POSIX).
func speaksFrench(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		value := env(name)
		if value != "" {
			return strings.HasPrefix(strings.ToLower(value), "fr")
		}
	}
	return false
}

// Say chooses between the two languages of a message.
func Say(english, frenchText string) string {
	if french {
		return frenchText
	}
	return english
}

// Tag is the language as in Accept-Language (RFC 9110 §12.5.4).
func Tag() string { return Say("en", "fr") }
