"""The one place that wires the rooms together; `pipeline` reads as the sentence of the data's way."""
