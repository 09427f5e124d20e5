"""What `get` prints: tables, JSON, YAML, names and JSONPath, as kubectl prints them. Pure."""
