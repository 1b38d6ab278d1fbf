"""Signed intents: stores a signed payload before it is submitted, and finds out its outcome without guessing.

An intent is a signed payload that a ledger may take: a block, an extrinsic, a transaction. This package keeps three rules for
all of them:

* The payload is stored before it is submitted. After a crash, any process finds it in the database and continues.
* Unknown is not failed. An intent stays OPEN until the ledger has it (ACCEPTED) or can never have it (REJECTED).
* One slot, one payload. `slot` is unique in the table: nothing else is signed for it until the intent in it is REJECTED.

A ledger provides:

* a `Draft` (signing.py): checks a request against the stored state and builds the payload. `Signing.sign` makes an intent of it
  in one transaction. Where a client signs, the ledger calls `adopt` (store.py) instead;
* a `Network` (resolver.py): `offer` submits one intent, `follow` asks about many. Both answer with a `Verdict` (intent.py);
* `Effects` (resolver.py): changes the ledger's own tables, in the transaction that stores a verdict.

    async with signing.turn(account):
        intent = await signing.sign(draft)
        resolution = await asyncio.shield(resolver.resolve(intent))

`resolver.sweep` resolves the open intents of other processes; a loop runs it under a lease.
"""
