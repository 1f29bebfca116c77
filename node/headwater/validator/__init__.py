"""A validator's work: recompute what the draw names, sign what holds, say what does not."""
