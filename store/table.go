package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cpsca/card"
)

// table is one table whose rows the journal commits to.
type table struct {
	name       string
	key        int // how many leading columns are the primary key
	columns    []string
	list       string   // the columns, for SELECT and RETURNING
	insertions []string // the statements that add rows, one for each of batches
	labels     []string // what stands before the value of each column in a canonical row
}

func newTable(name string, key int, columns string) *table {
	t := &table{name: name, key: key, columns: strings.Fields(columns)}
	t.list = strings.Join(t.columns, ", ")
	for _, column := range t.columns {
		t.labels = append(t.labels, `,"`+column+`":`)
	}
	t.labels[0] = `{"table":"` + name + `"` + t.labels[0]
	for _, n := range batches {
		t.insertions = append(t.insertions, t.insertion(n))
	}
	return t
}

// textOf is a text in a row of a table; empty where there is none.
func textOf(row []any, t *table, column string) string {
	text, _ := row[t.at(column)].(string)
	return text
}

// qualified lists the columns with the table's name before each.
func (t *table) qualified() string { return t.name + "." + strings.Join(t.columns, ", "+t.name+".") }

// at is the place of a column in a row.
func (t *table) at(column string) int { return slices.Index(t.columns, column) }

// The tables of the ledger whose rows cannot change without an event of the
// journal. Registers of persons and contacts are not among them: each import
// is one event that names the file's hash.
var (
	epochs     = newTable("epochs", 1, "epoch started")
	imports    = newTable("imports", 1, "id kind file actor started finished sha256 accepted rejected")
	enrolments = newTable("enrolments", 1, "fingerprint person role bureau issuer serial since ended")
	issuers    = newTable("issuers", 1, "key_id name role certificate since")
	orders     = newTable("orders", 1, "id holder profession type form why replaces bureau state challenge_authentication challenge_signature created")
	cards      = newTable("cards", 1, "id order_id number holder profession type form bureau state since created expires activated")
	cardSteps  = newTable("card_steps", 3, "card_id journal event origin outcome actor at")
	keys       = newTable("keys", 1, "fingerprint card_id use since")
	quotas     = newTable("quotas", 3, "bureau period start used")
	attempts   = newTable("attempts", 2, "order_id attempt card_id requester epoch state opened closed")
	intents    = newTable("intents", 1, "number issuer serial order_id attempt use subject profile profile_version profile_hash key_fingerprint not_before not_after tbs epoch")
	certs      = newTable("certificates", 1, "intent card_id signature recorded")
	revoked    = newTable("revocations", 2, "issuer serial status since reason invalidity not_after cause")
	losses     = newTable("loss_reports", 1, "id card_id circumstance happened received committed reporter")
	feedTable  = newTable("feed", 1, "sequence issuer serial not_after status at reason hash")
	crls       = newTable("crls", 2, "issuer number this_update next_update feed_sequence sha256 published")
)

// feedEnds stands in leaves for the records of the feed that an event added:
// where the feed ended then. No table has this name.
var feedEnds = newTable("feed_end", 1, "sequence hash")

// The leaves of the journal itself.
var (
	journalLeaves = newTable("journal_leaves", 2, "event position commitment")
	journalClear  = newTable("journal_clear", 2, "event position subject salt clear")
)

// protected lists the tables that VerifyJournal recomputes from the journal,
// those first to which the others refer. The feed is a chain of its own, of which
// the journal holds the ends.
var protected = []*table{epochs, imports, enrolments, issuers, orders, cards, cardSteps, keys, quotas, attempts, intents, certs, revoked, losses, crls}

// canonical is the text by which the journal commits to a row: a JSON object
// with the columns in the table's order, short octets as {"hex":…}, long ones
// (a TBSCertificate, a signature) as {"sha256":…}. Two rows that differ in a
// value or in the type of a value have different texts.
func (t *table) canonical(values []any) ([]byte, error) {
	return t.appendCanonical(make([]byte, 0, 640), values)
}

func (t *table) appendCanonical(b []byte, values []any) ([]byte, error) {
	for i, column := range t.columns {
		b = append(b, t.labels[i]...)
		switch v := values[i].(type) {
		case nil:
			b = append(b, "null"...)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case string:
			var err error
			b, err = appendText(b, v)
			if err != nil {
				return nil, fmt.Errorf("encoding %s.%s: %w", t.name, column, err)
			}
		case []byte:
			b = appendOctets(b, v)
		default:
			return nil, fmt.Errorf("encoding %s.%s: unexpected %T", t.name, column, v)
		}
	}
	return append(b, '}'), nil
}

// longOctets is where octets are committed to by their hash instead of in full.
const longOctets = 64

func appendOctets(b, v []byte) []byte {
	kind := `{"hex":"`
	if len(v) > longOctets {
		sum := sha256.Sum256(v)
		kind, v = `{"sha256":"`, sum[:]
	}
	b = append(b, kind...)
	b = hex.AppendEncode(b, v)
	return append(b, '"', '}')
}

// appendText adds a JSON string. Text that is not UTF-8 is refused: JSON would
// write different ones alike.
func appendText(b []byte, v string) ([]byte, error) {
	if !utf8.ValidString(v) {
		return nil, errors.New("the text is not UTF-8")
	}
	if plainText(v) {
		return append(append(append(b, '"'), v...), '"'), nil
	}
	quoted, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(b, quoted...), nil
}

// plainText is text that JSON writes as it is: nearly all there is.
func plainText(v string) bool {
	for i := range len(v) {
		c := v[i]
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// columnValues turns Go values into the four kinds that the ledger holds:
// nil, int64, string, []byte. A zero time is NULL.
func columnValues(values []any) ([]any, error) {
	return appendColumnValues(make([]any, 0, len(values)), values)
}

func appendColumnValues(out, values []any) ([]any, error) {
	for _, v := range values {
		c, err := columnValue(v)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func columnValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, int64, string, []byte:
		return v, nil
	case int:
		return int64(v), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case time.Time:
		if v.IsZero() {
			return nil, nil
		}
		return v.UnixMilli(), nil
	case card.KeyID:
		return v[:], nil
	case card.Serial:
		return v[:], nil
	case card.Fingerprint:
		return v[:], nil
	case [sha256.Size]byte:
		return v[:], nil
	}
	r := reflect.ValueOf(v)
	switch {
	case r.Kind() == reflect.String:
		return r.String(), nil
	case r.CanInt():
		return r.Int(), nil
	case r.Kind() == reflect.Array && r.Type().Elem().Kind() == reflect.Uint8:
		octets := make([]byte, r.Len())
		reflect.Copy(reflect.ValueOf(octets), r)
		return octets, nil
	}
	return nil, fmt.Errorf("no column holds a %T", v)
}

// moment reads a column of milliseconds; NULL is the zero time.
func moment(v *int64) time.Time {
	if v == nil {
		return time.Time{}
	}
	return time.UnixMilli(*v).UTC()
}

// octets reads a column of exactly as many octets as into has room for: a
// shorter or longer value, or one that is no BYTEA, is a damaged row.
type octets struct{ into []byte }

// Scan implements sql.Scanner.
func (o octets) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(o.into) {
		return fmt.Errorf("%w: want %d octets, got %T", ErrRow, len(o.into), v)
	}
	copy(o.into, b)
	return nil
}

// exact reads a column of one type and nothing that database/sql would convert
// to it.
type exact[T int64 | string] struct{ into *T }

// Scan implements sql.Scanner.
func (e exact[T]) Scan(v any) error {
	value, ok := v.(T)
	if !ok {
		return fmt.Errorf("%w: want %T, got %T", ErrRow, *e.into, v)
	}
	*e.into = value
	return nil
}
