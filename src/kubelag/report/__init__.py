"""One file per format; `formats` is the registry, `content` decides what is said in which order."""
