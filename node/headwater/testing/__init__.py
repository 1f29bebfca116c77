"""Fakes, tiny models and strategies; shipped, because authors of plug-ins need them too."""
