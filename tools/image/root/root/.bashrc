# SPDX-License-Identifier: GPL-2.0-or-later
# The interactive shell of dom0's root.
PS1='dom0# '
alias ll='ls -l'
