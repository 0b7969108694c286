/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_PSI_H
#define PROVIUM_BROKER_PSI_H

/*
 * Pressure stall information, as the kernel tells it: of the whole host (/proc/pressure/cpu) and of
 * each group (cpu.pressure). A share of time is kept in hundredths of a per cent, as it is printed
 * there: 5312 is 53.12 %. (Documentation/accounting/psi.rst)
 */

#include <base/macro.h>

#define PSI_WINDOW_USEC UINT64_C(2000000) /* of a trigger: as often as the averages are updated */

struct psi {
        bool known;
        uint64_t some, full; /* avg10 */
};

/* Reads @text of such a file. False: it is none. */
_must_check_ bool psi_parse(const char *text, struct psi *psi);

/* Reads the file @name below @dir_fd. 0 or a positive errno (EOPNOTSUPP: PSI is switched off),
 * EBADMSG if it holds anything else; then @psi is unknown. */
int psi_read(int dir_fd, const char *name, struct psi *psi);

/*
 * A trigger on the file at @path: POLLPRI when "some" (@full: "full") was above @share of a window
 * of PSI_WINDOW_USEC, once a window at most. 0 with its descriptor, the caller's, or a positive
 * errno.
 */
_must_check_ int psi_trigger(const char *path, bool full, uint64_t share, int *fdp);

/* The time of a window that @share is, as a trigger has it; at least a microsecond. */
uint64_t psi_stall_usec(uint64_t share);

/* "53.12", into @buffer of 24 bytes, which is returned. */
const char *psi_format(uint64_t share, char buffer[24]);

#endif
