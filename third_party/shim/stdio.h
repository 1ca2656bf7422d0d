/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What third-party code finds as <stdio.h> in the hypervisor: it includes the header but uses nothing of it
 * here. */
