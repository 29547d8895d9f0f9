// Package powercut is a disk that tests can cut the power of: a file system in
// memory, mounted through FUSE, that knows what was synced and what was only
// written.
//
// A write is volatile until its file is synced (POSIX.1-2017, fsync); a file
// that was created, renamed or removed is so until its folder is synced, which
// is stricter than what file systems do. Cut returns the disk as it would be
// found after the power came back: without what was volatile, or with a random
// part of it, torn at sectors. A sync that failed has forgotten its pages: a
// second one reports success and writes nothing, as Linux does. After a folder's
// sync that failed nothing changes any more.
//
// A plan may let any operation fail, or cut the power before or after it, so that
// a test can try them one by one.
//
// A process that shows a disk must not use a database on it: one that waits for a
// page of shared memory holds up the threads that would bring the page, for ever.
// Databases are used by children; files, by everybody.
//
// Nothing here is part of the authority; only tests in endtoend use it.
package powercut
