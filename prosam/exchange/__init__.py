"""Exchange with annotation tools: references from their files, results into them."""
