"""OpenLoRA: thousands of adapters on one base model.

In: a prepared base folder, adapters (safetensors), generation requests. Out: token events and exactly one record of
what was done for each request, naming the digest of the weights that were applied. There is no HTTP, no chain and no
price in this room.
"""
