"""The command line: one module a noun, each command a thin call into the service."""
