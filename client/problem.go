package client

import (
	"strings"
	"time"
)

// ProblemPrefix stands before the code in the type of every problem.
const ProblemPrefix = "/problems/"

// Problem is a refusal or a failure (RFC 9457). It is the error that every
// method of Client returns when the authority answered and said no; find it with
// errors.As. Title and Detail are in the language asked for.
type Problem struct {
	Type       string `json:"type"` // ProblemPrefix and the code
	Title      string `json:"title"`
	Status     int    `json:"status"` // of HTTP
	Detail     string `json:"detail,omitempty"`
	Reason     string `json:"reason,omitempty"`      // the exact cause, in English, for the log of the caller
	Line       int    `json:"line,omitempty"`        // of the stream, from 1
	RetryAfter int    `json:"retry_after,omitempty"` // seconds; 0 if trying again is of no use
	Incident   string `json:"incident,omitempty"`    // names the line in the authority's log
}

// Error gives title, detail, reason and incident in one line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	if p.Reason != "" {
		b.WriteString(" (" + p.Reason + ")")
	}
	if p.Incident != "" {
		b.WriteString(" [" + p.Incident + "]")
	}
	return b.String()
}

// Code is the stable name of the problem, for example "live-card".
func (p *Problem) Code() string { return strings.TrimPrefix(p.Type, ProblemPrefix) }

// Temporary reports whether sending the same thing again may succeed, and after
// how long.
func (p *Problem) Temporary() (after time.Duration, ok bool) {
	return time.Duration(p.RetryAfter) * time.Second, p.RetryAfter > 0
}
