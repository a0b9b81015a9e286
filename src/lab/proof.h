/*
 * The mutation proof: a range of a file is sent to a peer that does not read, the file is
 * overwritten, and only then the peer reads. New bytes: the page itself was queued. Old bytes: a
 * copy of it was. It needs no privilege, and nobody's word.
 *
 * It sends 8 KiB: less than the first congestion window, so that all of it leaves at once. A device
 * without scatter-gather makes its copy when it takes a packet; bytes that still wait for the window
 * would be references until then.
 */
#ifndef LAB_PROOF_H
#define LAB_PROOF_H

#include "lab/model.h"

#define PROOF_BYTES 8192

/* `null`: a second sink for tee. -EOPNOTSUPP: the kernel or the engine refuses the technique here.
 */
int proof_run(enum leat_technique technique, const int ends[2], int null, enum lab_proof *ret,
	      struct err *err);

#endif
