"""Corrupted images: the 15 standard corruptions, and what they are made of."""
