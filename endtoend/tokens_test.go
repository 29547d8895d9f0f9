package endtoend_test

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// mendTokens puts the files of the tokens back: SoftHSM lives in the process, and
// writes its token anew at each login, in place. Killed in this, it has no token
// any more, which no HSM does.
func (c *campaign) mendTokens(t *testing.T) {
	t.Helper()
	now := files(t, c.path("hsm"))
	for path, content := range c.tokens {
		if now[path] == content {
			continue
		}
		if len(now[path]) < len(content) {
			c.left["token torn"]++
		}
		write(t, path, content)
	}
}

// files reads every file below a folder.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
