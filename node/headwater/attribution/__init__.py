"""Who taught an answer: from a gradient to integer shares that a stranger can recompute.

`features` takes per-example gradients at the kept checkpoint, `sketch` projects and rounds them, `index` keeps one
int4 row a record, `score` multiplies integers, `shares` divides, `verify` does it all again. `spans` (quotation) and
`baseline` (BM25) answer other questions and are only shown. Pure torch and numpy: no chain, no web, no other stage.
"""
