"""Large files from the internet: transferred once, verified, and unpacked safely."""
