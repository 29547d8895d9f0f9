/*
 * A PKCS#11 module that hands every call on to the one that CPSCA_WITNESS_MODULE
 * names, and notes in the file CPSCA_WITNESS_LOG each C_Login and each C_Sign with
 * the octets to be signed, before the call is entered: the note outlives a process
 * that is killed in it. Function list: PKCS#11 v2.40 §3.6, pkcs11f.h.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;

enum { login_index = 18, sign_index = 43, functions = 68, general_error = 5, most = 64 };

struct list {
	unsigned char version[2];
	void *function[functions];
};

typedef word (*get_list)(struct list **);
typedef word (*login_call)(word, word, unsigned char *, word);
typedef word (*sign_call)(word, unsigned char *, word, unsigned char *, word *);

static struct list *real;
static struct list ours;

static void note(const char *what, const unsigned char *data, word length)
{
	static const char digits[] = "0123456789abcdef";
	char line[16 + 2 * most + 2];
	size_t n = strlen(what);
	int file = open(getenv("CPSCA_WITNESS_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);

	if (file < 0)
		abort();
	memcpy(line, what, n);
	line[n++] = ' ';
	for (word i = 0; i < length && i < most; i++) {
		line[n++] = digits[data[i] >> 4];
		line[n++] = digits[data[i] & 15];
	}
	line[n++] = '\n';
	if (write(file, line, n) != (ssize_t)n)
		abort();
	close(file);
}

static word witnessed_login(word session, word user, unsigned char *pin, word length)
{
	note("login", NULL, 0);
	return ((login_call)real->function[login_index])(session, user, pin, length);
}

static word witnessed_sign(word session, unsigned char *data, word length, unsigned char *signature, word *size)
{
	note("sign", data, length);
	return ((sign_call)real->function[sign_index])(session, data, length, signature, size);
}

word C_GetFunctionList(struct list **out)
{
	if (!real) {
		void *module = dlopen(getenv("CPSCA_WITNESS_MODULE"), RTLD_NOW | RTLD_LOCAL);
		get_list get = module ? (get_list)dlsym(module, "C_GetFunctionList") : NULL;

		if (!get || get(&real))
			return general_error;
		ours = *real;
		ours.function[login_index] = (void *)witnessed_login;
		ours.function[sign_index] = (void *)witnessed_sign;
	}
	*out = &ours;
	return 0;
}
