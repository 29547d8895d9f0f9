/*
 * A PKCS#11 module for tests that hands every call on to another one and makes it
 * fail as it is told. Order of the functions: PKCS#11 v2.40 §5, pkcs11f.h. 64-bit
 * Linux only: every argument is a word there, and one caller serves all functions.
 *
 * Where things are stands in the environment, or, for a process that loads several
 * copies of this library, in a file beside the copy, NAME.so.settings, which wins:
 *
 *   CPSCA_FAULT_MODULE=path    the module behind this one
 *   CPSCA_FAULT_WITNESS=path   file of notes; absent: none are taken
 *   CPSCA_FAULT_CONTROL=path   file of orders; absent: none are given
 *   SOFTHSM2_CONF=path         (settings file only) for the module behind
 *
 * Notes, each one append before the call is entered, whatever becomes of it:
 *
 *   login                      C_Login
 *   sign HEX                   C_Sign, with the octets to be signed
 *   sign-final                 C_SignFinal
 *   violation WHAT             something no caller may do: two calls in one session
 *                              at once, a session closed or the module finalised
 *                              under a call; the call is refused
 *
 * Orders, one a line. The file is read again whenever it changed; calls are counted
 * from then on. Replace it by renaming, so that no half of it is read.
 *
 *   FUNCTION WHICH before CODE    return CODE instead of making the call
 *   FUNCTION WHICH after CODE     make the call, then return CODE
 *   FUNCTION WHICH hang           wait until the file changes, then make the call
 *   FUNCTION WHICH flip           make the call, then flip a bit of the signature
 *   FUNCTION WHICH delay MS       wait, then make the call
 *   sessions N                    open no more than N sessions at once
 *   unmodifiable                  say of every object that CKA_MODIFIABLE is false
 *   gone CODE [reinitialise]      lose every session and login, and answer CODE to
 *                                 everything until the line is taken out; with the
 *                                 word, until C_Finalize and C_Initialize after that
 *
 * WHICH is 3 for the third call, 3+ for the third and all later ones, * for all.
 * CODE is decimal or 0x hexadecimal.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*call)(word, word, word, word, word, word, word, word);

static const char *const names[] = {
	"C_Initialize", "C_Finalize", "C_GetInfo", "C_GetFunctionList", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo",
	"C_GetMechanismList", "C_GetMechanismInfo", "C_InitToken", "C_InitPIN", "C_SetPIN", "C_OpenSession", "C_CloseSession",
	"C_CloseAllSessions", "C_GetSessionInfo", "C_GetOperationState", "C_SetOperationState", "C_Login", "C_Logout",
	"C_CreateObject", "C_CopyObject", "C_DestroyObject", "C_GetObjectSize", "C_GetAttributeValue", "C_SetAttributeValue",
	"C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_EncryptInit", "C_Encrypt", "C_EncryptUpdate",
	"C_EncryptFinal", "C_DecryptInit", "C_Decrypt", "C_DecryptUpdate", "C_DecryptFinal", "C_DigestInit", "C_Digest",
	"C_DigestUpdate", "C_DigestKey", "C_DigestFinal", "C_SignInit", "C_Sign", "C_SignUpdate", "C_SignFinal",
	"C_SignRecoverInit", "C_SignRecover", "C_VerifyInit", "C_Verify", "C_VerifyUpdate", "C_VerifyFinal",
	"C_VerifyRecoverInit", "C_VerifyRecover", "C_DigestEncryptUpdate", "C_DecryptDigestUpdate", "C_SignEncryptUpdate",
	"C_DecryptVerifyUpdate", "C_GenerateKey", "C_GenerateKeyPair", "C_WrapKey", "C_UnwrapKey", "C_DeriveKey",
	"C_SeedRandom", "C_GenerateRandom", "C_GetFunctionStatus", "C_CancelFunction", "C_WaitForSlotEvent",
};

enum {
	functions = sizeof names / sizeof *names,
	initialize = 0, finalize = 1, slot_list = 4, init_pin = 10, open_session = 12, close_session = 13, close_all = 14,
	session_info = 15, login = 18, get_attribute = 24, sign = 43, sign_final = 45, last_of_a_session = 66,
	general_error = 5, session_count = 0xb1, modifiable = 0x170,
	most_orders = 64, most_under_way = 256, most_slots = 64,
};

struct attribute {
	word type;
	unsigned char *value;
	word length;
};

struct list {
	unsigned char version[2];
	void *function[functions];
};

enum effect { before, after, hang, flip, delay };

struct order {
	int function;
	word from, to; /* of the calls since the orders were read */
	enum effect effect;
	word value;
};

static struct list *real;
static struct list ours;
static char witness[4096], control[4096], softhsm[4096];

/* The rest is guarded by this lock, which no call is made under but those that drop all. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Read-held by every call to the module behind; write-held while all sessions are dropped. */
static pthread_rwlock_t inside = PTHREAD_RWLOCK_INITIALIZER;

static struct timespec read_at;
static ino_t read_inode;
static unsigned long readings; /* how often orders were read */
static struct order orders[most_orders];
static int order_count;
static word counts[functions];
static word cap;               /* of sessions; 0: none */
static int unmodifiable;
static word gone;              /* the code of a token that is gone */
static int reinitialise;       /* gone until then */
static word open_sessions;
static word under_way[most_under_way]; /* sessions with a call in them; 0: free */

static void setting(const char *name, char *into)
{
	const char *value = getenv(name);

	if (value)
		snprintf(into, 4096, "%s", value);
}

static void settings(char *module)
{
	Dl_info self;
	char path[4200], line[4200];
	FILE *file;

	setting("CPSCA_FAULT_MODULE", module);
	setting("CPSCA_FAULT_WITNESS", witness);
	setting("CPSCA_FAULT_CONTROL", control);
	if (!dladdr((void *)settings, &self))
		return;
	snprintf(path, sizeof path, "%s.settings", self.dli_fname);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file)) {
		char *value = strchr(line, '=');

		if (!value)
			continue;
		*value++ = 0;
		value[strcspn(value, "\n")] = 0;
		if (!strcmp(line, "CPSCA_FAULT_MODULE"))
			snprintf(module, 4096, "%s", value);
		else if (!strcmp(line, "CPSCA_FAULT_WITNESS"))
			snprintf(witness, sizeof witness, "%s", value);
		else if (!strcmp(line, "CPSCA_FAULT_CONTROL"))
			snprintf(control, sizeof control, "%s", value);
		else if (!strcmp(line, "SOFTHSM2_CONF"))
			snprintf(softhsm, sizeof softhsm, "%s", value);
	}
	if (file)
		fclose(file);
}

static void note(const char *what, const unsigned char *data, word length)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = strlen(what);
	char *line;
	int file;

	if (!*witness)
		return;
	file = open(witness, O_WRONLY | O_APPEND | O_CREAT, 0600);
	line = malloc(n + 2 * length + 2);
	if (file < 0 || !line)
		abort();
	memcpy(line, what, n);
	if (length)
		line[n++] = ' ';
	for (word i = 0; i < length; i++) {
		line[n++] = digits[data[i] >> 4];
		line[n++] = digits[data[i] & 15];
	}
	line[n++] = '\n';
	if (write(file, line, n) != (ssize_t)n)
		abort();
	free(line);
	close(file);
}

static word direct(int n, word a, word b, word c)
{
	return ((call)real->function[n])(a, b, c, 0, 0, 0, 0, 0);
}

/* drop ends every session and login of the module behind, when no call is in it. */
static void drop(void)
{
	word slots[most_slots], count = most_slots;

	pthread_rwlock_wrlock(&inside);
	if (!direct(slot_list, 1, (word)slots, (word)&count))
		for (word i = 0; i < count; i++)
			direct(close_all, slots[i], 0, 0);
	pthread_rwlock_unlock(&inside);
	open_sessions = 0;
}

static int parse(const char *line, struct order *o)
{
	char name[64], which[32], effect[16], value[32] = "0";
	static const char *const effects[] = {"before", "after", "hang", "flip", "delay"};
	char *end;

	if (sscanf(line, "%63s %31s %15s %31s", name, which, effect, value) < 3)
		return 0;
	for (o->function = 0; o->function < functions && strcmp(names[o->function], name); o->function++)
		;
	for (o->effect = before; o->effect <= delay && strcmp(effects[o->effect], effect); o->effect++)
		;
	o->from = *which == '*' ? 1 : strtoul(which, &end, 10);
	o->to = *which == '*' || *end == '+' ? ~0UL : o->from;
	o->value = strtoul(value, NULL, 0);
	return o->function < functions && o->effect <= delay;
}

/* obey reads the orders again if the file changed; lock is held. */
static void obey(void)
{
	struct stat now;
	char line[256], word_after[32];
	word was_gone = gone;
	FILE *file;

	if (!*control)
		return;
	if (stat(control, &now))
		memset(&now, 0, sizeof now);
	if (now.st_ino == read_inode && now.st_mtim.tv_sec == read_at.tv_sec && now.st_mtim.tv_nsec == read_at.tv_nsec)
		return;
	read_inode = now.st_ino;
	read_at = now.st_mtim;
	readings++;
	order_count = 0;
	cap = gone = unmodifiable = 0;
	memset(counts, 0, sizeof counts);
	file = fopen(control, "r");
	while (file && fgets(line, sizeof line, file)) {
		*word_after = 0;
		if (sscanf(line, "sessions %lu", &cap) == 1)
			continue;
		if (!strcmp(line, "unmodifiable\n")) {
			unmodifiable = 1;
			continue;
		}
		if (sscanf(line, "gone %li %31s", (long *)&gone, word_after) >= 1) {
			reinitialise |= !strcmp(word_after, "reinitialise");
			continue;
		}
		if (order_count < most_orders && parse(line, &orders[order_count]))
			order_count++;
		else if (line[strspn(line, " \n")])
			abort();
	}
	if (file)
		fclose(file);
	if (gone && !was_gone)
		drop();
	if (!gone && reinitialise)
		gone = was_gone;
}

/* enter marks a session as used; it says no if a call is in it already. */
static int enter(word session)
{
	int place = -1;

	for (int i = 0; i < most_under_way; i++) {
		if (under_way[i] == session)
			return 0;
		if (!under_way[i])
			place = i;
	}
	if (place < 0)
		abort();
	under_way[place] = session;
	return 1;
}

static int anybody(void)
{
	for (int i = 0; i < most_under_way; i++)
		if (under_way[i])
			return 1;
	return 0;
}

static void leave(word session)
{
	for (int i = 0; i < most_under_way; i++)
		if (under_way[i] == session)
			under_way[i] = 0;
}

static void wait_ms(word ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* held waits until other orders are there. */
static void held(void)
{
	unsigned long then, now;

	pthread_mutex_lock(&lock);
	then = readings;
	do {
		pthread_mutex_unlock(&lock);
		wait_ms(1);
		pthread_mutex_lock(&lock);
		obey();
		now = readings;
	} while (now == then);
	pthread_mutex_unlock(&lock);
}

/* forward makes the call. */
static word forward(int n, const word *v)
{
	char *was = NULL;
	int turn = -1;
	word r;

	if (n == initialize && *softhsm) {
		/* The environment is that of all copies of this library in the process. */
		turn = open(witness, O_WRONLY | O_CREAT, 0600);
		flock(turn, LOCK_EX);
		was = getenv("SOFTHSM2_CONF");
		was = was ? strdup(was) : NULL;
		setenv("SOFTHSM2_CONF", softhsm, 1);
	}
	pthread_rwlock_rdlock(&inside);
	r = ((call)real->function[n])(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
	pthread_rwlock_unlock(&inside);
	if (n == initialize && *softhsm) {
		if (was)
			setenv("SOFTHSM2_CONF", was, 1);
		else
			unsetenv("SOFTHSM2_CONF");
		free(was);
		close(turn);
	}
	pthread_mutex_lock(&lock);
	if (n == open_session && !r)
		open_sessions++;
	if (n == close_session && !r && open_sessions)
		open_sessions--;
	if ((n == finalize || n == close_all) && !r)
		open_sessions = 0;
	if (n == finalize && !r && reinitialise) {
		struct stat now;

		reinitialise = 0;
		/* An order that still stands is read again. */
		if (!stat(control, &now))
			read_inode = 0;
		gone = 0;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static word answer(int n, const word *v, const struct order *o)
{
	word r;

	if (o && o->effect == hang)
		held();
	if (o && o->effect == delay)
		wait_ms(o->value);
	if (o && o->effect == before)
		return o->value;
	r = forward(n, v);
	if (o && o->effect == flip && !r && v[3] && *(word *)v[4])
		((unsigned char *)v[3])[*(word *)v[4] / 2] ^= 1;
	if (n == get_attribute && unmodifiable) {
		struct attribute *a = (struct attribute *)v[2];

		for (word i = 0; i < v[3]; i++)
			if (a[i].type == modifiable && a[i].value && a[i].length == 1)
				*a[i].value = 0;
	}
	return o && o->effect == after ? o->value : r;
}

static word pass(int n, const word *v)
{
	int of_session = n == init_pin || n == init_pin + 1 || n == close_session || (n >= session_info && n <= last_of_a_session);
	struct order order, *found = NULL;
	char violation[128];
	word r;

	if (n == login)
		note("login", NULL, 0);
	if (n == sign)
		note("sign", (const unsigned char *)v[1], v[2]);
	if (n == sign_final)
		note("sign-final", NULL, 0);
	pthread_mutex_lock(&lock);
	obey();
	counts[n]++;
	for (int i = 0; i < order_count && !found; i++)
		if (orders[i].function == n && orders[i].from <= counts[n] && counts[n] <= orders[i].to) {
			order = orders[i];
			found = &order;
		}
	if ((of_session && !enter(v[0])) || ((n == finalize || n == close_all) && anybody())) {
		pthread_mutex_unlock(&lock);
		snprintf(violation, sizeof violation, "violation: %s in session %lu under another call", names[n], of_session ? v[0] : 0);
		note(violation, NULL, 0);
		return general_error;
	}
	r = 0;
	if (gone && n != initialize && n != finalize)
		r = gone;
	else if (n == open_session && cap && open_sessions >= cap)
		r = session_count;
	pthread_mutex_unlock(&lock);
	if (!r)
		r = answer(n, v, found);
	if (of_session) {
		pthread_mutex_lock(&lock);
		leave(v[0]);
		pthread_mutex_unlock(&lock);
	}
	return r;
}

#define WORDS word a, word b, word c, word d, word e, word f, word g, word h
#define ONE(n) static word call_##n(WORDS) { word v[] = {a, b, c, d, e, f, g, h}; return pass(n, v); }
#define TEN(t) ONE(t##0) ONE(t##1) ONE(t##2) ONE(t##3) ONE(t##4) ONE(t##5) ONE(t##6) ONE(t##7) ONE(t##8) ONE(t##9)
#define NAME(n) (void *)call_##n,
#define NAMES(t) NAME(t##0) NAME(t##1) NAME(t##2) NAME(t##3) NAME(t##4) NAME(t##5) NAME(t##6) NAME(t##7) NAME(t##8) NAME(t##9)

TEN() TEN(1) TEN(2) TEN(3) TEN(4) TEN(5)
ONE(60) ONE(61) ONE(62) ONE(63) ONE(64) ONE(65) ONE(66) ONE(67)

static void *const calls[functions] = {
	NAMES() NAMES(1) NAMES(2) NAMES(3) NAMES(4) NAMES(5)
	NAME(60) NAME(61) NAME(62) NAME(63) NAME(64) NAME(65) NAME(66) NAME(67)
};

word C_GetFunctionList(struct list **out)
{
	pthread_mutex_lock(&lock);
	if (!real) {
		char module[4096] = "";
		void *library;
		word (*get)(struct list **);

		settings(module);
		library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
		get = library ? (word (*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
		if (!get || get(&real)) {
			pthread_mutex_unlock(&lock);
			return general_error;
		}
		ours = *real;
		for (int i = 0; i < functions; i++)
			ours.function[i] = calls[i];
		ours.function[3] = (void *)C_GetFunctionList;
	}
	pthread_mutex_unlock(&lock);
	*out = &ours;
	return 0;
}
