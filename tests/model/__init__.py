"""A small simulation of the whole platform, on the real code of `core`.

    world.py    the log, the registry, the archive, the clock, and the oracle
    redis.py    what Redis keeps, and the script that one shard runs
    speed.py    the speed job: its generation, the one that is rebuilt beside it, cuts, the floor
    generations.py  how a generation begins, and how far it has come
    counting.py what a micro-batch counts
    batch.py    the batch job: archive, recompute, publish
    equality.py the check of a publish
    versions.py roll-back, roll-forward, retention
    reader.py   a query: one manifest, then the speed state
    parts.py    what a platform is made of
    platform.py all of it, and what can happen to it
    machine.py  schedules that Hypothesis draws of that
    invariants.py  what holds at every step
    planted.py, planted_late.py  simpler versions of the above that go wrong
    visits.py   visits of users, on the real state and step
    corrected/  the platform of events that take back or replace others
    persons/    the platform of events that say which ids are one person

Processes are generators: each `yield` is a place where the process may be killed, or stand still while
others go on. What is not kept in the world is forgotten with the generator.
"""
