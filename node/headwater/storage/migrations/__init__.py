"""The database's schema through time: each revision is one module in `versions/`, applied in one transaction."""
