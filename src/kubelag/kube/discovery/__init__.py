"""What an API server offers: its groups, versions and resources, and how names find them."""
