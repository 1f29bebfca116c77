"""Datanets: from a contributor's file to a snapshot that nobody can bend afterwards."""
