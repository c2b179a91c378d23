"""Parts of which the methods that train nothing are made."""
