// Package endtoend tests the house as its users meet it: the three programs, built
// from this tree, as processes that speak over the network, are stopped, killed
// and started again.
//
// It holds tests and nothing else. What a room promises by itself is tested in that
// room; here is what only the whole can break: bad lines among good ones over mTLS,
// kill -9 between intent and record, two writers on one ledger, a status node
// without its authority, and what may never stand in a log.
//
// Mishaps come by the hundred: kills at random instants, power cuts (package
// powercut), each operation of the disk failing once, clocks that jump. After each,
// what bureaux asked for and were told is held against ledger, witness, feed and
// list (account, judgement). CPSCA_SOAK names a folder to make them thousands, and
// keeps there how far they came.
//
// A witness stands between the programs and SoftHSM (testdata/witness.c): it notes
// every login and every C_Sign (PKCS#11 v2.40 §5.6, §5.11) before it is entered.
package endtoend
