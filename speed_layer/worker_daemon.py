"""What forks the Python workers of Spark, with this layer's modules loaded: a worker then starts at once.

Spark runs it as `python -m speed_layer.worker_daemon`, for `spark.python.daemon.module` names it.
"""

import gc

from pyspark import daemon

__all__ = ["manager"]

manager = daemon.manager

if __name__ == "__main__":
    # rows are tuples without cycles: looking for some among them costs as much as decoding them
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    manager()
