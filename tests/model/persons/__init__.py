"""The platform of a source whose events say which ids are one person, read by the real serving layer.

people.py   visits that join ids, their views, and what is right at a moment, by loops
speed.py    a generation that counts by one resolution, and its rebuild
batch.py    the resolution of all pairs below a boundary, and the check of a publish
stores.py   what the serving layer reads: a version, and Redis, command by command
reader.py   questions about every person and every page
platform.py what can be sent, and what an answer has to hold
machine.py  schedules with pairs
planted.py  simpler versions that go wrong
"""
