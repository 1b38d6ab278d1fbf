"""Old and new processes on one database while an upgrade rolls over them.

Running processes bear a revision if all that they read and write stays right under it: it adds tables, indexes, and columns that
may be missing in a row. Such a revision says `BORNE = True`. One that does not begins a new epoch: its id and those of the
revisions after it have the epoch's number (`core_e1_0023`). So a process that finds a revision which it does not know sees by the
id alone whether it bears it.

A revision that running processes do not bear is applied only while no process holds a lease. A process that finds one
nevertheless writes nothing more (`SchemaWatch`).
"""
