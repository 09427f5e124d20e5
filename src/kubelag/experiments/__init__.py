"""One file per factor that can be removed: change one thing, measure again."""
