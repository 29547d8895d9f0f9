package profiles

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// extendedUse is what a verifier asks each profile for.
var extendedUse = map[Name]x509.ExtKeyUsage{
	CPSAuthentication: x509.ExtKeyUsageClientAuth, CPEAuthentication: x509.ExtKeyUsageClientAuth,
	CPSSignature: x509.ExtKeyUsageEmailProtection, CPESignature: x509.ExtKeyUsageEmailProtection,
	OCSP: x509.ExtKeyUsageOCSPSigning, TLSServer: x509.ExtKeyUsageServerAuth,
	TLSClient: x509.ExtKeyUsageClientAuth, Officer: x509.ExtKeyUsageClientAuth,
	Root: x509.ExtKeyUsageAny, Issuing: x509.ExtKeyUsageAny,
	TechnicalRoot: x509.ExtKeyUsageAny, TechnicalIssuing: x509.ExtKeyUsageAny,
}

func (e *estate) anchors(name Name) (root, issuing *x509.Certificate) {
	switch name {
	case TechnicalRoot, TechnicalIssuing, TLSServer, TLSClient, Officer:
		return e.technicalRoot.certificate, e.technical.certificate
	}
	return e.root.certificate, e.issuing.certificate
}

func bothEstates(t *testing.T, judge func(t *testing.T, e *estate)) {
	t.Run("with EC keys", func(t *testing.T) { judge(t, fixedEstate(t)) })
	t.Run("with RSA keys", func(t *testing.T) { judge(t, rsaEstate(t)) })
	t.Run("with Ed25519 issuers", func(t *testing.T) { judge(t, edwardsEstate(t)) })
}

func TestJudgeX509AcceptsTheChainOfEveryProfile(t *testing.T) {
	bothEstates(t, func(t *testing.T, e *estate) {
		for _, name := range Names {
			root, issuing := e.anchors(name)
			roots, between := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(root)
			between.AddCert(issuing)
			_, err := e.certificates[name].Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: between, CurrentTime: start.Add(24 * time.Hour),
				KeyUsages: []x509.ExtKeyUsage{extendedUse[name]},
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestJudgeX509ReadsNoCriticalExtensionItDoesNotKnow(t *testing.T) {
	for name, cert := range fixedEstate(t).certificates {
		if len(cert.UnhandledCriticalExtensions) != 0 {
			t.Errorf("%s: %v", name, cert.UnhandledCriticalExtensions)
		}
	}
}

func TestJudgeOpenSSLAcceptsTheChainOfEveryProfileStrictly(t *testing.T) {
	openssl := opensslPath(t)
	bothEstates(t, func(t *testing.T, e *estate) {
		dir := t.TempDir()
		for _, name := range Names {
			root, issuing := e.anchors(name)
			rootFile, issuingFile := filepath.Join(dir, "root.pem"), filepath.Join(dir, "issuing.pem")
			leafFile := filepath.Join(dir, string(name)+".pem")
			writePEM(t, rootFile, root)
			writePEM(t, issuingFile, issuing)
			writePEM(t, leafFile, e.certificates[name])
			at := strconv.FormatInt(start.Add(24*time.Hour).Unix(), 10)
			out, err := exec.Command(openssl, "verify", "-x509_strict", "-check_ss_sig", "-attime", at,
				"-CAfile", rootFile, "-untrusted", issuingFile, leafFile).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			out, err = exec.Command(openssl, "x509", "-in", leafFile, "-noout", "-text").CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	})
}

// opensslPath is the judge's; every machine that the project runs on has it.
func opensslPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CPSCA_TEST_STRICT") == "1" {
		t.Fatal("openssl is not installed")
	}
	if err != nil {
		t.Skip("openssl is not installed")
	}
	return path
}

func writePEM(t *testing.T, path string, cert *x509.Certificate) {
	t.Helper()
	err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600)
	if err != nil {
		t.Fatal(err)
	}
}

// The reasons for which findings of zlint do not apply.
const (
	notWeb  = "a rule of the CA/Browser Forum for the public web, which this authority does not serve"
	field   = "the field's own layout, which the golden samples fix"
	policy  = "the profile of the hierarchy, reference rule of the field: no EKU, no AIA, anyPolicy in authorities"
	demo    = "the demonstration has loopback names"
	noTrans = "card certificates name persons and are not published in transparency logs"
)

// notApplicable are all findings of zlint, from notice upwards, that are
// decisions of ours.
var notApplicable = map[string]string{
	"e_crl_distrib_points_not_http":                           "the field publishes in HTTP first and LDAP beside it",
	"e_dnsname_not_valid_tld":                                 demo,
	"e_ext_san_contains_reserved_ip":                          demo,
	"w_sub_cert_aia_contains_internal_names":                  demo,
	"n_san_iana_pub_suffix_empty":                             demo,
	"e_organizational_unit_name_prohibited":                   notWeb,
	"e_sub_cert_locality_name_must_appear":                    notWeb,
	"e_sub_cert_province_must_appear":                         notWeb,
	"w_ext_subject_key_identifier_not_recommended_subscriber": notWeb,
	"w_subject_common_name_included":                          notWeb,
	"e_subj_orgunit_in_ca_cert":                               notWeb,
	"e_sub_cert_basic_constraints_not_critical":               field,
	"n_multiple_subject_rdn":                                  field,
	"n_ca_digital_signature_not_set":                          "authorities sign no OCSP answers: responders are delegated",
	"n_mp_allowed_eku":                                        policy,
	"n_sub_ca_eku_missing":                                    policy,
	"w_root_ca_contains_cert_policy":                          policy,
	"w_sub_ca_aia_missing":                                    policy,
	"w_sub_ca_aia_does_not_contain_issuing_ca_url":            policy,
	"w_ct_sct_policy_count_unsatisfied":                       noTrans,
}

// notForEdwards are the findings that every Ed25519 issuer has: the public web
// takes none.
var notForEdwards = map[string]string{
	"e_algorithm_identifier_improper_encoding": notWeb,
	"e_signature_algorithm_not_supported":      notWeb,
}

func TestJudgeZlintFindsNothingButWhatIsDecided(t *testing.T) {
	met := map[string]bool{}
	bothEstates(t, func(t *testing.T, e *estate) {
		for _, name := range Names {
			cert, err := zx509.ParseCertificate(e.certificates[name].Raw)
			if err != nil {
				t.Errorf("%s: zcrypto: %v", name, err)
				continue
			}
			result := zlint.LintCertificate(cert)
			var found []string
			for id, one := range result.Results {
				if one.Status < lint.Notice {
					continue
				}
				met[id] = true
				excuse := notApplicable[id]
				if e.root.issuer.Algorithm == Ed25519 && excuse == "" {
					excuse = notForEdwards[id]
				}
				if excuse == "" {
					found = append(found, id+": "+one.Status.String()+" "+one.Details)
				}
			}
			sort.Strings(found)
			for _, finding := range found {
				t.Errorf("%s: %s", name, finding)
			}
		}
	})
	for id := range notApplicable {
		if !met[id] {
			t.Errorf("%s is excused and not found any more", id)
		}
	}
}
