"""A problem of one's own: the two TOML files that say what lies in a folder or a table; a predictor kept and used."""
