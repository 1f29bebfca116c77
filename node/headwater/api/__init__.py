"""HTTP: the OpenAI-compatible API, intake, jobs, receipts, pages, and the user's own proxy."""
