"""Methods: what each one is (`protocol`), how all are trained (`train`), and one file per method."""
