"""Provenance that travels: an exported receipt, and the verifier that needs neither node nor network."""
