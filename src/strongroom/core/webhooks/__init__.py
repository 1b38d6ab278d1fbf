"""Webhooks: any number of receivers are told of events, signed as Standard Webhooks says.

announcer.py     queues an event for each endpoint that wants it, in the transaction of what is announced
kinds.py         the catalogue of events
endpoint.py      an endpoint as a value; store.py and sealing.py keep it
queue.py         the rows of events: what waits, what was delivered, what is dead
dispatcher.py    delivers, one queue for each endpoint, in the process that holds the lease
sender.py        one attempt; signatures.py signs it
administration.py what people do with endpoints
"""
