"""What is signed, hashed and paid: pure definitions, no I/O, no clock, no randomness.

Each signed thing is one frozen dataclass, and that dataclass is the only definition of its EIP-712 type, its
canonical bytes, its JSON and its digest. Solidity and JavaScript are checked against the same vector files.
"""
