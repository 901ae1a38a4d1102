"""Shipped test kit: virtual time, peers that behave like the real ones, suites."""
