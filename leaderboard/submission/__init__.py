"""A stranger's row: the bundle that carries it, and what a machine can say of one without running its method."""
