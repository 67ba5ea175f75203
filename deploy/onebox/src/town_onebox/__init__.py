"""One box (一台構成): the composition root and the supervisor of the town."""
