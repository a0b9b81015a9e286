/*
 * File systems made for the lab: an image in memory, a loop device over it, mkfs, a mount.
 *
 * A child process does it in a mount namespace of its own, where nobody else sees it, and hands back
 * the file's descriptor. When the child has gone the mount hangs on that descriptor alone: the
 * kernel undoes mount, loop device and image when it is closed, however the lab ends.
 */
#ifndef LAB_MOUNT_H
#define LAB_MOUNT_H

#include "lab/model.h"

/* `source`: LAB_EXT4, LAB_XFS, LAB_BTRFS or LAB_OVERLAY. A descriptor of a file of `size` bytes in
 * it, or -errno with a line of why and what to do. */
int mount_file(enum lab_source source, uint64_t size, struct err *err);

#endif
