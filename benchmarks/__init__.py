"""What a task is, and how a run of a method on it is measured."""
