"""From the log to partial results in Redis: one long-running spark-submit job for a source."""
