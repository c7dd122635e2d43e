"""What a result is, and how it is read. Nothing here imports torch."""
