package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"cpsca/card"
	"cpsca/client"
)

// openAnswers opens a file of answers, for this process alone, to write behind
// what is there, and reads which orders an earlier run got certificates for. A
// torn last line, left by an interruption, is cut off: its order is sent again.
func openAnswers(path string) (*os.File, map[card.OrderID]card.Number, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	answered, err := resume(f)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf(say("answers file %s: %w", "fichier de réponses %s : %w"), path, err)
	}
	return f, answered, nil
}

func resume(f *os.File) (map[card.OrderID]card.Number, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New(say("it is not an ordinary file", "ce n'est pas un fichier ordinaire"))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New(say("another cpsca is writing to it", "un autre cpsca y écrit"))
	}
	if err != nil {
		return nil, err
	}
	answered, whole, err := answeredBefore(f)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(whole)
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	return answered, err
}

// torn says whether octets without a line break are how an answer begins.
func torn(line []byte) bool {
	begin := []byte(`{"line":`)
	n := min(len(begin), len(line))
	return bytes.Equal(line[:n], begin[:n])
}

// answeredBefore reads answers, and how many octets their whole lines have. What
// holds anything else is refused: it would be another file, named by mistake.
func answeredBefore(r io.Reader) (map[card.OrderID]card.Number, int64, error) {
	out := make(map[card.OrderID]card.Number)
	whole := int64(0)
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return nil, 0, err
		}
		if ended && (number > 1 || torn(line)) {
			return out, whole, nil
		}
		var a client.Answer
		err = json.Unmarshal(line, &a)
		if err != nil || a.Status == "" {
			return nil, 0, fmt.Errorf(say("line %d is not an answer; name another file with --answers", "la ligne %d n'est pas une réponse ; nommez un autre fichier avec --answers"), number)
		}
		if a.Status == client.Issued {
			out[a.Order] = a.Card
		}
		whole += int64(len(line))
	}
}
