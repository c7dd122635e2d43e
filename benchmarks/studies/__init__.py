"""Small experiments behind decisions, each a script that repeats its numbers."""
