"""Headwater: models whose knowledge has owners, and a way to pay them."""

__version__ = "0.1.0"
