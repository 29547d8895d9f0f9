package main

import (
	"os"
	"strings"
)

// french says which language messages are in: that of the locale
// (LC_ALL, LC_MESSAGES, LANG, in the order of POSIX), English unless it is
// French.
var french = speaksFrench(os.Getenv)

func speaksFrench(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		value := env(name)
		if value != "" {
			return strings.HasPrefix(strings.ToLower(value), "fr")
		}
	}
	return false
}

// say chooses between the two languages of every message.
func say(english, frenchText string) string {
	if french {
		return frenchText
	}
	return english
}
