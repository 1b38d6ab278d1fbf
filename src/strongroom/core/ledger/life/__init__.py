"""Follows a payment: its life line by line, from what every process stores of it, so that any of them can tell.

Whoever asks names the payment as the network does, by the request that had it signed, by what its client called it (an
`Idempotency-Key`), or by the approval that it waits for.
"""
