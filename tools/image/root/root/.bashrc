# SPDX-License-Identifier: GPL-2.0-or-later
# The interactive shell of dom0's root.
PS1='dom0# '
alias ll='ls -l'
# Without -f, busybox's commands signal an init that would end the machine; dom0's first process is a script, which does not.
poweroff() { command poweroff -f "$@"; }
reboot() { command reboot -f "$@"; }
