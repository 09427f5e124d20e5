"""Saves what was seen to one directory, and reads it back elsewhere."""
