"""Where keys live: wallets, the signer in its own process, and the log that never lets one slot be signed twice."""
