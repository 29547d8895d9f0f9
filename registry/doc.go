// Package registry says who exists: the health professionals of the RPPS and the staff of structures, the identifiers that
// name them, the professions they hold and the code lists that describe both.
//
// It holds the grammar of the identifiers (RPPS number, PS_IdNat), the code lists of the card and of the directory, streaming
// readers for the three register files (the published persons extraction, register events, contacts) and the pure rule that
// says whether a person is entitled to a card of a profession today. Every reader works in bounded memory whatever it is fed,
// names the file, line and column of each error in a Report, and goes on with the next line.
//
// It does not keep anything: merging the rows of one person and remembering them is the work of the store; deciding what an
// event does to a card is the work of lifecycle. It imports no other room.
//
// Standards: ANS "Annuaire Santé" extractions, NOS code lists G01 to G18, R01, R02, R09 and R23, ISO/IEC 7812-1 annex B (Luhn).
package registry
