"""Content addressing: bytes in, CIDs out, and back, every block verified.

Nothing here knows what the bytes mean. `store.ContentStore` is the seam; `factory.open_store` picks
the implementation.
"""
