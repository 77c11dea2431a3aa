"""A small simulation of the whole platform, on the real code of `core`.

    world.py    the log, the registry, the archive, the clock, and the oracle
    redis.py    what Redis keeps, and the script that one shard runs
    speed.py    the speed job: generations, micro-batches, cuts, the floor
    batch.py    the batch job: archive, recompute, publish
    reader.py   a query: one manifest, then the speed state
    planted.py  simpler versions of the above that serve wrong numbers

Processes are generators: each `yield` is a place where the process may be killed, or stand still while
others go on. What is not kept in the world is forgotten with the generator.
"""
