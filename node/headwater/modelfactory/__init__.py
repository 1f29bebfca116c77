"""From a recipe and labelled records to an adapter and an honest report of what it can do.

In: a prepared base, a `protocol.recipe.Recipe`, records. Out: an adapter in PEFT's format, the attribution
checkpoint, the chain of training steps, an `EvaluationReport`. Knows no chain, no wallet and no network; training
runs in a child process over a folder (`jobs`), and the service keeps the rows.
"""
