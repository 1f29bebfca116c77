"""From an answer to a payment: receipts, vouchers, epochs, claims. Arithmetic only; the chain is told elsewhere."""
