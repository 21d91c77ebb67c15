"""Ids, clocks, errors, back-off, service lifecycle: what every layer needs and no layer owns.

Belongs here: small value types without I/O that several layers share.
Does not: anything that knows media, protocols or storage.
"""
