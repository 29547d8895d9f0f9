package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"cpsca/client"
	"cpsca/cmd/internal/token"
	"cpsca/config"
	"cpsca/feed"
	"cpsca/hsm"
	"cpsca/ocsp"
	"cpsca/status"
)

// node is everything that runs, put together from the configuration.
type node struct {
	settings  *config.Status
	log       *slog.Logger
	token     *hsm.Token
	authority *client.Client
	copy      *feed.Copy
	follower  *status.Follower
	enrolment *status.Enrolment
	handler   *status.Handler
}

// errNoCertificate: a PEM file holds something else.
var errNoCertificate = errors.New("no PEM certificate or key in the file")

// assemble opens token and copies and puts the rooms together. What was opened
// is closed by close, also after an error.
func (n *node) assemble(ctx context.Context) error {
	issuers, err := readIssuers(n.settings.Issuers)
	if err != nil {
		return err
	}
	public, err := readPublicKey(n.settings.FeedKey)
	if err != nil {
		return err
	}
	n.token, err = token.Open(ctx, n.settings.HSM)
	if err != nil {
		return err
	}
	n.authority, err = connect(n.settings)
	if err != nil {
		return err
	}
	for _, folder := range []string{"lists", "responders"} {
		err = os.MkdirAll(filepath.Join(n.settings.Folder, folder), 0o755)
		if err != nil {
			return fmt.Errorf("making the node's folders: %w", err)
		}
	}
	var image *feed.Image
	n.copy, image, err = feed.OpenCopy(filepath.Join(n.settings.Folder, "feed"), public)
	if err != nil {
		return err
	}
	lists, err := status.OpenLists(filepath.Join(n.settings.Folder, "lists"), issuers, nil)
	if err != nil {
		return err
	}
	n.follower, err = status.NewFollower(status.FollowerConfig{
		Source: &source{authority: n.authority, issuers: issuers}, Image: image, Copy: n.copy, Lists: lists, Every: n.settings.Poll,
		ListsEvery: n.settings.Poll, Log: n.log,
	})
	if err != nil {
		return err
	}
	return n.answer(ctx, issuers, image, lists)
}

// answer makes the responders and the public face.
func (n *node) answer(ctx context.Context, issuers []status.Issuer, image *feed.Image, lists *status.Lists) error {
	var answered []*x509.Certificate
	var keys []status.Key
	for _, i := range issuers {
		if i.Certificate.CheckSignatureFrom(i.Certificate) == nil {
			continue // a root certifies no card: its list is served, its OCSP is not
		}
		key, err := n.responderKey(ctx, "ocsp-"+i.Name)
		if err != nil {
			return err
		}
		id, err := ocsp.KeyID(i.Certificate)
		if err != nil {
			return fmt.Errorf("computing the key id of %s: %w", i.Name, err)
		}
		answered = append(answered, i.Certificate)
		keys = append(keys, status.Key{Issuer: id, Signer: key})
	}
	responder, err := ocsp.New(ocsp.Config{Image: image, Issuers: answered, ExtendedRevoke: n.settings.ExtendedRevoke})
	if err != nil {
		return err
	}
	n.enrolment, err = status.NewEnrolment(status.EnrolmentConfig{
		Keys: keys, Certifier: certifier{n.authority}, Installer: responder, Folder: filepath.Join(n.settings.Folder, "responders"), Log: n.log,
	})
	if err != nil {
		return err
	}
	n.handler, err = status.NewHandler(status.Config{Responder: responder, Image: image, Lists: lists, Issuers: issuers, ClientRate: n.settings.ClientRate, Log: n.log})
	return err
}

// responderKey finds the key of one issuer's responder, or makes it at the
// first start.
func (n *node) responderKey(ctx context.Context, label string) (crypto.Signer, error) {
	key, err := n.token.Key(ctx, label)
	if errors.Is(err, hsm.ErrKeyNotFound) {
		n.log.Info("making a responder key", "label", label)
		key, err = n.token.Generate(ctx, label, hsm.P256)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the responder key %s: %w", label, err)
	}
	return key, nil
}

func (n *node) close() error {
	var errs []error
	if n.copy != nil {
		errs = append(errs, n.copy.Close())
	}
	if n.authority != nil {
		n.authority.Close()
	}
	if n.token != nil {
		errs = append(errs, n.token.Close())
	}
	return errors.Join(errs...)
}

func connect(settings *config.Status) (*client.Client, error) {
	certificate, err := client.LoadCertificate(settings.TLS.Certificate, settings.TLS.Key)
	if err != nil {
		return nil, err
	}
	roots, err := client.LoadRoots(settings.TLS.Trust)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: settings.Authority, Certificate: certificate, Roots: roots})
}

// readIssuers reads certificates; the file's name, without ending, is the name
// under which the issuer is served.
func readIssuers(paths []string) ([]status.Issuer, error) {
	var out []status.Issuer
	for _, path := range paths {
		der, err := readPEM(path)
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading issuer %s: %w", path, err)
		}
		out = append(out, status.Issuer{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Certificate: certificate})
	}
	return out, nil
}

func readPublicKey(path string) (crypto.PublicKey, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("reading the feed's key: %w", err)
	}
	return key, nil
}

func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate or key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading %s: %w", path, errNoCertificate)
	}
	return block.Bytes, nil
}
