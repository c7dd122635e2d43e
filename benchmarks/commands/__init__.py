"""The commands of `ivi`, a module per group."""
