/* SPDX-License-Identifier: GPL-2.0-only */
/* The ends of TCP connections that the test tools open: numeric addresses of both families, TCP_NODELAY. */
#ifndef POLC_TESTS_ENDS_H
#define POLC_TESTS_ENDS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* An address that is none ends the program with 99. */
socklen_t end_address(const char *a, const char *port, struct sockaddr_storage *s);
/* The port that dialling is from; 0: of the kernel's choice. */
extern in_port_t end_port;
/* Connected and blocking; -1, and errno. */
int end_dial(const char *a, const char *port);
/* Gives up after so long; 0: when the kernel does.  The limit stays for what is sent. */
int end_dial_within(const char *a, const char *port, unsigned ms);
/*
 * Listens, with these flags of socket(2), and says "listening" on standard output; what cannot listen says
 * why and ends the program with 99.
 */
int end_listen(const char *a, const char *port, int flags);
/* Accepts; -1 is to be tried again.  peer: the client's address as text, or NULL. */
int end_accept(int listener, int flags, char peer[INET6_ADDRSTRLEN]);
/* The address alone, as text. */
void end_name(const struct sockaddr_storage *s, char out[INET6_ADDRSTRLEN]);
/* As many descriptors as the system lets us have. */
void end_more_files(void);

#endif
