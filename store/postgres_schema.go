package store

import (
	"context"
	_ "embed" // the catalogue
	"encoding/json"
	"fmt"
)

// catalogue is what schemaOfPostgres reads after the migrations: the authority's
// role cannot make a second schema to compare with. A test makes it anew.
//
//go:embed migrations/postgres/catalogue.json
var catalogue []byte

func expectedOfPostgres(context.Context) (map[string]string, error) {
	var out map[string]string
	err := json.Unmarshal(catalogue, &out)
	if err != nil {
		return nil, fmt.Errorf("reading the recorded catalogue: %w", err)
	}
	return out, nil
}

// schemaOfPostgres reads what is in the schema public, and what acts by itself:
// tables with their columns, constraints, indexes, triggers (one that was switched
// off is another one), rules, functions, policies, and what others than the owner
// may do.
func schemaOfPostgres(ctx context.Context, db querier) (map[string]string, error) {
	return described(ctx, db, `WITH mine AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace)
SELECT 'relation ' || relname, relkind::text || ' ' || relpersistence::text || ' ' || relrowsecurity::text || ' ' || COALESCE(reloptions::text, '')
	FROM mine WHERE relkind <> 'i'
UNION ALL SELECT 'column ' || relname || '.' || attname, attnum::text || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
	|| ' ' || attidentity::text || attgenerated::text || ' ' || attstorage::text || ' ' || COALESCE(pg_get_expr(d.adbin, d.adrelid), '')
	FROM mine JOIN pg_attribute a ON a.attrelid = mine.oid AND attnum > 0 AND NOT attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE relkind <> 'i' AND relkind <> 'S'
UNION ALL SELECT 'constraint ' || relname || '.' || conname, pg_get_constraintdef(k.oid) || CASE WHEN convalidated THEN '' ELSE ' NOT VALID' END
	FROM mine JOIN pg_constraint k ON k.conrelid = mine.oid WHERE contype IN ('p', 'u', 'f', 'c', 'x')
UNION ALL SELECT 'index ' || mine.relname, pg_get_indexdef(mine.oid) || CASE WHEN indisvalid AND indisready THEN '' ELSE ' NOT VALID' END
	FROM mine JOIN pg_index x ON x.indexrelid = mine.oid
UNION ALL SELECT 'trigger ' || relname || '.' || tgname, pg_get_triggerdef(t.oid) || ' ' || tgenabled::text
	FROM mine JOIN pg_trigger t ON t.tgrelid = mine.oid WHERE NOT tgisinternal
UNION ALL SELECT 'foreign keys of ' || relname, 'switched off'
	FROM mine WHERE EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = mine.oid AND tgisinternal AND tgenabled <> 'O')
UNION ALL SELECT 'rule ' || relname || '.' || rulename, pg_get_ruledef(r.oid) FROM mine JOIN pg_rewrite r ON r.ev_class = mine.oid
UNION ALL SELECT 'policy ' || relname || '.' || polname, polcmd::text FROM mine JOIN pg_policy p ON p.polrelid = mine.oid
UNION ALL SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ')', pg_get_functiondef(oid)
	FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind <> 'a'
UNION ALL SELECT 'event trigger ' || evtname, evtevent FROM pg_event_trigger
UNION ALL SELECT 'grant of ' || relname || ' to ' || COALESCE(r.rolname, 'everybody'), string_agg(privilege_type, ' ' ORDER BY privilege_type)
	FROM mine CROSS JOIN aclexplode(relacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee WHERE g.grantee <> relowner GROUP BY 1
UNION ALL SELECT 'grant of ' || relname || '.' || attname || ' to ' || COALESCE(r.rolname, 'everybody'), string_agg(privilege_type, ' ' ORDER BY privilege_type)
	FROM mine JOIN pg_attribute a ON a.attrelid = mine.oid CROSS JOIN aclexplode(attacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee
	WHERE g.grantee <> relowner GROUP BY 1`)
}
