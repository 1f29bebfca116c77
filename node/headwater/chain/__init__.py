"""The chain as a seam: an embedded one that lives in a file, any other over JSON-RPC, and how we write to either.

In: contracts' ABIs, a JSON-RPC URL or a home folder, signed bytes. Out: decoded calls, events, receipts; blocks that
are on disk before they are acknowledged. Knows no Datanet, model or payout: those meet the chain in `service`.
"""
