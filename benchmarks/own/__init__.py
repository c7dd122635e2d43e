"""A problem of one's own: what lies in a folder or a table, and the two TOML files that say so."""
