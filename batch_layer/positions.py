"""Where a record stands in the log, as one number in a column of frames: partition, then offset."""

__all__ = ["POSITION"]

POSITION = "__position"
