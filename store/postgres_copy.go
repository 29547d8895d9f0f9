package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyPostgres adds rows by COPY in its binary form: one message instead of a
// statement with hundreds of places, and one record of the log for a page of rows.
func copyPostgres(ctx context.Context, conn *sql.Conn, tab *table, values []any) error {
	rows, err := appendRows(make([]byte, 0, 256*len(values)/4), len(tab.columns), values)
	if err != nil {
		return err
	}
	return onPostgres(conn, func(c *pgx.Conn) error {
		_, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(rows), "COPY "+tab.name+" ("+strings.Join(tab.columns, ", ")+") FROM STDIN (FORMAT binary)")
		return err
	})
}

// appendRows writes rows as COPY reads them: the signature, no flags, no
// extension, then for each row the number of its fields and for each field its
// length and octets. Integers are of eight octets: every number of the ledger is a
// BIGINT.
func appendRows(b []byte, width int, values []any) ([]byte, error) {
	b = append(b, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i, value := range values {
		if i%width == 0 {
			b = binary.BigEndian.AppendUint16(b, uint16(width))
		}
		switch v := value.(type) {
		case nil:
			b = binary.BigEndian.AppendUint32(b, 0xffffffff) // NULL has the length -1
		case int64:
			b = binary.BigEndian.AppendUint32(b, 8)
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		case string:
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
		case []byte:
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
		default:
			return nil, fmt.Errorf("no column holds a %T", v)
		}
	}
	return binary.BigEndian.AppendUint16(b, 0xffff), nil // the end
}
