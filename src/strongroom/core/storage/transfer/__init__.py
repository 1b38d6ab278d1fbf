"""Copies a whole database into another one, of the same or the other engine, and compares the two.

connections.py   one snapshot to read from, one connection to write with
shapes.py        what tables and columns there are, on both sides
values.py        what a value is on one engine, on the other one, and as bytes to hash
rows.py          reads rows in the order of their keys, and writes them
mark.py          how far a copy has come, in the copy itself
comparing.py     counts and hashes the rows of both sides
copying.py       does it all
"""
