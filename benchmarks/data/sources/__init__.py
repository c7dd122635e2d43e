"""Where a split is read from: files, packages, idx files, tables of the `datasets` library."""
