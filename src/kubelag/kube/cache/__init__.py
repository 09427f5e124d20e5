"""The discovery cache as kubectl lays it out."""
