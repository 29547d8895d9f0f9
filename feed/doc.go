// Package feed is the stream of status changes that the authority publishes
// to the status nodes: records in a hash chain, under a signed head that says
// until when they are complete (docs/DESIGN.md, "Status").
//
// A Record says what became of one serial. A Head is the authority's signature
// over the chain up to a sequence, repeated as a heartbeat. An Image is the
// state that follows from the records, as a status node answers from it; it
// takes nothing that does not lead from what it knows to a signed head. A Copy
// keeps records and heads on the node's own disk.
//
// The store writes records and signs heads; status reads them. How they travel
// and what an OCSP answer says of them is not decided here. Status words follow
// RFC 6960 §2.2, reasons RFC 5280 §5.3.1.
package feed
