"""Signed intents: stored before they are submitted; their outcome is found out and never guessed.

An intent is a signed payload that a ledger may take: a block, an extrinsic, a transaction. Three rules hold for all of them,
and this package is where they are kept:

* The payload is stored before anything is submitted. What a crash leaves behind is found in the database and goes on.
* Unknown is not failed. An intent stays OPEN until the ledger has it (ACCEPTED) or can never have it (REJECTED).
* One slot, one payload. `slot` is unique: nothing else is signed for it before the intent in it is REJECTED.

What a ledger brings:

* a `Draft` (signing.py): what is to be signed, checked against what is stored. `Signing.sign` makes an intent of it in one write;
* or `adopt` (store.py), where a client signed;
* a `Network` (resolver.py): `offer` submits one intent, `follow` asks about many. Both answer with a `Verdict` (intent.py);
* `Effects` (resolver.py): what changes in the ledger's own tables, in the transaction that stores a verdict.

    async with signing.turn(account):
        intent = await signing.sign(draft)
        resolution = await asyncio.shield(resolver.resolve(intent))

`resolver.sweep` takes up what other processes left open; run it in a loop under a lease.
"""
