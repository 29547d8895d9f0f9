// Package testpostgres starts private PostgreSQL clusters from Debian's package
// for tests and measurements: in a folder of their own, reached through a socket in
// it and by nobody else, as a user without privileges, with every durability setting
// as it is delivered (all on).
package testpostgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the PostgreSQL driver
)

// ErrNotInstalled is returned by Start where Debian's package postgresql is not
// installed.
var ErrNotInstalled = errors.New("PostgreSQL is not installed (Debian package postgresql)")

// The roles of a cluster besides its superuser, who has no name outside: the owner
// of the ledgers, the authority that writes them, the auditor who reads.
const (
	Owner     = "cpsca_owner"
	Authority = "cpsca_authority"
	Auditor   = "cpsca_auditor"
)

const superuser = "postgres"

// Cluster is one running server. Its methods may be called concurrently, but for
// Stop, Crash and Restart.
type Cluster struct {
	folder   string // owned by the server's user
	binaries string
	identity *syscall.SysProcAttr
	server   *exec.Cmd
	ended    chan error
	output   bytes.Buffer

	mu    sync.Mutex
	admin *sql.DB
}

// Start makes a cluster in a new folder under the given one (the system's folder
// for temporary files if empty; the path of a socket is at most 107 octets) and
// starts it. The roles exist; no database does.
func Start(ctx context.Context, under string) (*Cluster, error) {
	binaries, err := find()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(under, "postgres")
	if err != nil {
		return nil, fmt.Errorf("making a cluster: %w", err)
	}
	c := &Cluster{folder: folder, binaries: binaries, identity: &syscall.SysProcAttr{}}
	err = c.found(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a cluster: %w", err), c.Stop())
	}
	return c, nil
}

// find looks for the newest binaries where Debian installs them.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", ErrNotInstalled
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func (c *Cluster) found(ctx context.Context) error {
	err := c.become()
	if err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(c.binaries, "initdb"), "-D", c.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions")
	initdb.SysProcAttr = c.identity
	initdb.Dir = c.folder
	said, err := initdb.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, said)
	}
	err = c.Restart(ctx)
	if err != nil {
		return err
	}
	for _, role := range []string{Owner, Authority, Auditor} {
		err = c.Do(ctx, "postgres", "CREATE ROLE "+role+" LOGIN")
		if err != nil {
			return err
		}
	}
	return nil
}

// become gives the folder to a user without privileges: no server starts as root.
func (c *Cluster) become() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return fmt.Errorf("reading the number of user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return fmt.Errorf("reading the group of user %s: %w", name, err)
		}
		c.identity.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
		return os.Chown(c.folder, int(uid), int(gid))
	}
	return errors.New("no user postgres or nobody to run as")
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

// Restart starts a cluster that was stopped by Crash.
func (c *Cluster) Restart(ctx context.Context) error {
	server := exec.Command(filepath.Join(c.binaries, "postgres"), "-D", c.data(),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+c.folder, "-c", "unix_socket_permissions=0700",
		"-c", "max_connections=200", "-c", "shared_buffers=256MB", "-c", "timezone=UTC")
	attributes := *c.identity
	attributes.Setpgid = true              // an interrupt of the test is not the server's,
	attributes.Pdeathsig = syscall.SIGQUIT // its death is
	server.SysProcAttr = &attributes
	server.Dir = c.folder
	server.Stdout, server.Stderr = &c.output, &c.output
	err := server.Start()
	if err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	c.server, c.ended = server, ended
	for {
		err = c.Do(ctx, "postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			c.server = nil
			return fmt.Errorf("PostgreSQL ended: %s", c.output.String())
		case <-ctx.Done():
			return fmt.Errorf("waiting for PostgreSQL: %w: %w", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// PID is the number of the server's first process.
func (c *Cluster) PID() int { return c.server.Process.Pid }

// DSN is how a role reaches a database of the cluster.
func (c *Cluster) DSN(role, database string) string {
	q := url.Values{"host": {c.folder}}
	return (&url.URL{Scheme: "postgres", User: url.User(role), Host: "", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Superuser is how an intruder who may do everything reaches a database.
func (c *Cluster) Superuser(database string) string { return c.DSN(superuser, database) }

// Create makes a database of the owner, empty or a copy of another one.
func (c *Cluster) Create(ctx context.Context, database, template string) error {
	if template == "" {
		template = "template0"
	}
	return c.Do(ctx, "postgres", "CREATE DATABASE "+database+" OWNER "+Owner+" TEMPLATE "+template)
}

// Drop removes a database and whoever is connected to it.
func (c *Cluster) Drop(ctx context.Context, database string) error {
	return c.Do(ctx, "postgres", "DROP DATABASE "+database+" WITH (FORCE)")
}

// Do executes a statement in a database as the superuser.
func (c *Cluster) Do(ctx context.Context, database, statement string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	db := c.admin
	if database != "postgres" || db == nil {
		opened, err := sql.Open("pgx", c.Superuser(database))
		if err != nil {
			return fmt.Errorf("reaching the cluster: %w", err)
		}
		opened.SetMaxOpenConns(1)
		db = opened
		if database == "postgres" {
			c.admin = db
		} else {
			defer db.Close()
		}
	}
	_, err := db.ExecContext(ctx, statement)
	return err
}

// Crash ends the server as a failure of the machine would, but for what the
// system's cache holds: no checkpoint, no farewell.
func (c *Cluster) Crash() error { return c.end(syscall.SIGQUIT) }

// Stop ends the server and removes its folder.
func (c *Cluster) Stop() error {
	if c.admin != nil {
		_ = c.admin.Close()
	}
	err := c.end(syscall.SIGINT)
	return errors.Join(err, os.RemoveAll(c.folder))
}

func (c *Cluster) end(signal syscall.Signal) error {
	if c.server == nil {
		return nil
	}
	err := c.server.Process.Signal(signal)
	if err != nil {
		return fmt.Errorf("stopping PostgreSQL: %w", err)
	}
	<-c.ended // what it ends with after a signal says nothing
	c.server = nil
	return nil
}
